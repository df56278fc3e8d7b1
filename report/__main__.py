"""python -m report: serve the report API."""

import os
import sys
from functools import partial

import pyarrow as pa

from ingest.http.connection import Connection
from ingest.http.data_folder import open_data_folder
from ingest.http.environment import parser_of
from ingest.http.serve import allow_files, listen, serve
from report.app import create_app
from report.settings import Settings


def main() -> int:
    parser_of("report", __doc__, Settings).parse_args()
    settings = Settings.from_env(os.environ)
    open_data_folder("report", settings.data_dir)
    # mimalloc, Arrow's default, keeps 35 MiB more of what the questions so far have needed
    pa.set_memory_pool(pa.system_memory_pool())
    allow_files("report", settings.connections_max)  # and for each part that cannot be linked
    listener = listen("report", settings.host, settings.port)
    task = f"reading {settings.data_dir}"
    make_app = partial(create_app, settings)
    return serve("report", task, make_app, Connection, listener, settings.drain_s_max)


if __name__ == "__main__":
    sys.exit(main())
