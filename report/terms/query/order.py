"""Which of two events was first: as compactor.lake.visits decides, wherever they lie.

By timestamp; of equal ones by what they say, so that the order is the same in spool and lake.
"""

from compactor.lake.visits import ORDER

_EACH = ", ".join(f"{name}, 'ASC NULLS LAST'" for name in ORDER)
_CONTENT = f"create_sort_key({_EACH})"


def numbered(rows: str, unit: str, columns: str) -> str:
    """The SQL for these columns of rows, and their numbers `n` within the unit, the first's 1."""
    # Sorting by all that an event says costs five times as much, and nearly all times differ
    return f"""
        SELECT {columns}, row_number() OVER (PARTITION BY {unit} ORDER BY "timestamp", tie) AS n
        FROM (
            SELECT {columns}, "timestamp", CASE WHEN alike > 1 THEN content END AS tie FROM (
                SELECT {columns}, "timestamp", {_CONTENT} AS content,
                    count(*) OVER (PARTITION BY {unit}, "timestamp") AS alike
                FROM {rows}
            )
        )"""
