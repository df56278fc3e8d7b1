"""Which of two events was first: as compactor.lake.visits decides, wherever they lie.

By timestamp; of equal ones by what they say, so that the order is the same in spool and lake.
"""

from compactor.lake.visits import ORDER

IN_ORDER = ", ".join(['"timestamp"', *(f"{name} NULLS LAST" for name in ORDER)])
