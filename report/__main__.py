"""python -m report: serve the report API."""

import argparse
import os
import sys
from functools import partial

import pyarrow as pa

from ingest.http.connection import Connection
from ingest.http.environment import parser_of
from ingest.http.serve import allow_files, listen, serve
from ingest.sites.watched import started
from report import commands
from report.app import create_app
from report.settings import Settings


def main() -> int:
    command = parse().command
    if command == "token":
        return commands.token()
    settings = Settings.from_env(os.environ)
    if command == "sites":
        return commands.sites(settings)
    return answer(settings)


def parse() -> argparse.Namespace:
    parser = parser_of("report", __doc__, Settings)
    add = parser.add_subparsers(
        dest="command", title="commands, beside a running report"
    ).add_parser
    add("sites", help="what FOOTFALL_SITES says, or what is wrong with it")
    add("token", help="make a token for a reader or sender of a site")
    return parser.parse_args()


def answer(settings: Settings) -> int:
    sites = started("report", settings.sites)
    if sites and not settings.token and (sites.readable or sites.public):
        raise SystemExit(
            "report: FOOTFALL_SITES says who may read what, but without a REPORT_TOKEN "
            "everybody reads everything"
        )
    if not os.path.isdir(settings.data_dir):
        raise SystemExit(f"report: DATA_DIR {settings.data_dir!r} is not a folder")
    if not os.access(settings.data_dir, os.W_OK | os.X_OK):
        raise SystemExit(f"report: DATA_DIR {settings.data_dir!r} takes no files")
    # mimalloc, Arrow's default, keeps 35 MiB more of what the questions so far have needed
    pa.set_memory_pool(pa.system_memory_pool())
    allow_files("report", settings.connections_max)  # and for each part that cannot be linked
    listener = listen("report", settings.host, settings.port)
    task = f"reading {settings.data_dir}"
    return serve("report", task, partial(create_app, settings, sites), Connection, listener)


if __name__ == "__main__":
    sys.exit(main())
