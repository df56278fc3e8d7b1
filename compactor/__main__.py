"""python -m compactor: turn closed segments into Parquet, again and again, or once with --once."""

import argparse
import logging
import os
import signal
import sys
import threading

from compactor.passes import Passes
from compactor.settings import Settings, describe

logger = logging.getLogger("compactor")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m compactor",
        description=__doc__,
        epilog="settings, from the environment:\n" + describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--once", action="store_true", help="compact all that waits now, and end")
    arguments = parser.parse_args()
    settings = Settings.from_env(os.environ)
    if not os.path.isdir(settings.data_dir):
        raise SystemExit(f"compactor: DATA_DIR {settings.data_dir!r} is not a folder")
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        passes = Passes(settings, stop)
        if arguments.once:
            passes.run_once()
        else:
            passes.run()
    except OSError as error:
        raise SystemExit(f"compactor: {error}") from None
    return 0


if __name__ == "__main__":
    sys.exit(main())
