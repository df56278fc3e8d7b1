"""python -m report: serve the report API."""

import os
import sys
from functools import partial

import pyarrow as pa

from ingest.http.connection import Connection
from ingest.http.environment import parser_of
from ingest.http.serve import allow_files, listen, serve
from report.app import create_app
from report.settings import Settings


def main() -> int:
    parser_of("report", __doc__, Settings).parse_args()
    settings = Settings.from_env(os.environ)
    if not os.path.isdir(settings.data_dir):
        raise SystemExit(f"report: DATA_DIR {settings.data_dir!r} is not a folder")
    if not os.access(settings.data_dir, os.W_OK | os.X_OK):
        raise SystemExit(f"report: DATA_DIR {settings.data_dir!r} takes no files")
    # mimalloc, Arrow's default, keeps 35 MiB more of what the questions so far have needed
    pa.set_memory_pool(pa.system_memory_pool())
    allow_files("report", settings.connections_max)  # and for each part that cannot be linked
    listener = listen("report", settings.host, settings.port)
    task = f"reading {settings.data_dir}"
    return serve("report", task, partial(create_app, settings), Connection, listener)


if __name__ == "__main__":
    sys.exit(main())
