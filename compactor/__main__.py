"""python -m compactor: turn closed segments into Parquet, again and again, or once with --once."""

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

import duckdb

import compactor.allocator  # noqa: F401  first: it speaks to pyarrow before pyarrow is there
from compactor.commands import backup, erase, expire, restore, upgrade, verify
from compactor.jobs.subject import Person
from compactor.jobs.upgrade import NoRoom
from compactor.lake.disk import CannotExchange
from compactor.lake.footer import NewerLake
from compactor.lake.lock import Busy
from compactor.scheduler import Scheduler, Stopped
from compactor.settings import Settings
from ingest.http.data_folder import open_data_folder
from ingest.http.environment import parser_of


def main() -> int:
    arguments = parse()
    settings = Settings.from_env(os.environ)
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    open_data_folder("compactor", settings.data_dir)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        return run(arguments, settings, stop)
    except Stopped:
        raise SystemExit("compactor: stopped before everything was done") from None
    except (OSError, CannotExchange, Busy, NewerLake, NoRoom, duckdb.Error) as error:
        raise SystemExit(f"compactor: {error}") from None


def run(arguments: argparse.Namespace, settings: Settings, stop: threading.Event) -> int:
    match arguments.command:
        case "verify":
            return verify(settings, stop)
        case "upgrade":
            return upgrade(settings, arguments.dry_run, stop)
        case "backup":
            return backup(settings, arguments.folder)
        case "restore":
            return restore(settings, arguments.folder)
        case "erase":
            subject = Person(arguments.site, arguments.user)
            return erase(settings, subject, arguments.dry_run, arguments.wait_s, stop)
        case "expire":
            return expire(settings, arguments.dry_run, arguments.undo, arguments.force, stop)
    scheduler = Scheduler(settings, stop)
    if arguments.once:
        return 0 if scheduler.run_once() else 1
    scheduler.run()
    return 0


def parse() -> argparse.Namespace:
    parser = parser_of("compactor", __doc__, Settings)
    parser.add_argument("--once", action="store_true", help="compact all that waits now, and end")
    commands = parser.add_subparsers(dest="command", title="commands, beside a running compactor")
    commands.add_parser("verify", help="check every page, count and key of the lake")
    command = commands.add_parser("upgrade", help="write a lake of an older release anew, and end")
    _dry_run(command)
    command = commands.add_parser("backup", help="copy all that DATA_DIR keeps, while it runs")
    command.add_argument("folder", type=Path, help="that is not there yet")
    command = commands.add_parser("restore", help="put a backup into a DATA_DIR that is empty")
    command.add_argument("folder", type=Path, help="of a backup")
    command = commands.add_parser("expire", help="move dates out that are past their retention")
    command.add_argument("--undo", action="store_true", help="move those back that are not")
    command.add_argument("--force", action="store_true", help="though the clock is doubted")
    _dry_run(command)
    command = commands.add_parser("erase", help="erase a site's events, or those of one user of it")
    command.add_argument("--site", required=True, help="site_id")
    command.add_argument("--user", help="user_id; without it, all events of the site")
    command.add_argument(
        "--wait-s", type=float, default=120.0, help="for ingest to close its segments: %(default)s"
    )
    _dry_run(command)
    return parser.parse_args()


def _dry_run(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--dry-run", action="store_true", help="print what would be done, change nothing"
    )


if __name__ == "__main__":
    sys.exit(main())
