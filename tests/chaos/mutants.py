"""Does the simulation see every mistake?   python -m tests.chaos.mutants [--only TEXT]

Prints a table: each mutant, and what went wrong with it. Status 1 if one is not noticed.
"""

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

from compactor.segments.reader import connect
from tests.compactor.simulation.explore import Explorer, memory_folder
from tests.compactor.simulation.mutants import EQUIVALENT, all_mutants, kill


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="those whose name has this text")
    arguments = parser.parse_args()
    logging.disable()
    survivors = 0
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        database = connect()
        explorer = Explorer(Path(folder), database)
        life = explorer.live(lost_max=0, look=False)
        steps = [moment.step for moment in life]
        for moment in life:
            steps += explorer.recover_from(moment, lost_max=0, more=True, look=False)
        mutants = all_mutants(steps)
        for mutant in mutants:
            if arguments.only not in mutant.name:
                continue
            started = time.monotonic()
            failure = kill(mutant, Path(folder), database)
            verdict = str(failure) if failure else EQUIVALENT.get(mutant.name, "NOT NOTICED")
            survivors += failure is None and mutant.name not in EQUIVALENT
            print(
                f"{mutant.name:90} {time.monotonic() - started:5.1f} s  {verdict[:200]}", flush=True
            )
    print(f"{len(mutants)} mutants, {survivors} not noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
