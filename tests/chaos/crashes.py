"""Every crash and power cut of a life, and again in the recovery.   python -m tests.chaos.crashes

    --lost N     how many operations a power cut loses at most, while recovering (default 3)

Prints its totals as it goes. Status 1 and the histories if anything was lost, doubled or torn.
"""

import argparse
import logging
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from compactor.segments.reader import connect
from tests.compactor.simulation.explore import Explorer, Found, memory_folder


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lost", type=int, default=3)
    arguments = parser.parse_args()
    logging.disable()
    started = time.monotonic()
    with TemporaryDirectory(dir=memory_folder()) as folder:
        explorer = Explorer(Path(folder), connect())
        try:
            moments = explorer.live(lost_max=arguments.lost)
            for more in (False, True):
                for moment in tqdm(moments, disable=not sys.stderr.isatty()):
                    explorer.recover_from(moment, arguments.lost, more)
        except Found:
            pass
    report = explorer.report
    for failure in report.failures:
        print(failure)
    print(
        f"{report.moments:,} moments, {report.states:,} states, {report.distinct:,} of them "
        f"distinct, {len(report.failures)} failures, {time.monotonic() - started:.0f} s"
    )
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
