"""Every crash and power cut of a life, and again in the recovery.   python -m tests.chaos.crashes

    --lost N     how many operations a power cut loses at most, while recovering (default 3)
    --seconds N  go on from moments drawn at random, and begin no other one after so long

Prints its totals. Status 1 and the histories if anything was lost, doubled or torn.
"""

import argparse
import logging
import random
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from compactor.segments.reader import connect
from tests.compactor.simulation.explore import Explorer, Found, Moment, memory_folder


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lost", type=int, default=3)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.disable()
    started = time.monotonic()
    gone_on = 0
    with TemporaryDirectory(dir=memory_folder()) as folder:
        explorer = Explorer(Path(folder), connect())
        moments: list[Moment] = []
        try:
            moments = explorer.live(lost_max=arguments.lost)
            recoveries = [(moment, more) for more in (False, True) for moment in moments]
            if arguments.seconds:
                random.Random(arguments.seed).shuffle(recoveries)
            for moment, more in tqdm(recoveries, disable=not sys.stderr.isatty()):
                if arguments.seconds and time.monotonic() - started > arguments.seconds:
                    break
                explorer.recover_from(moment, arguments.lost, more)
                gone_on += 1
        except Found:
            pass
    report = explorer.report
    for failure in report.failures:
        print(failure)
    print(
        f"gone on from {gone_on} of {2 * len(moments)} moments; "
        f"{report.moments:,} moments, {report.states:,} states, {report.distinct:,} of them "
        f"distinct, {len(report.failures)} failures, {time.monotonic() - started:.0f} s"
    )
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
