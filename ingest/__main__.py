"""python -m ingest: serve the ingest API."""

import sys

if sys.platform != "linux":
    raise SystemExit("ingest: this needs Linux, whose fdatasync and flock it builds on")

import os
from functools import partial

from ingest.app import create_app
from ingest.context.country import Countries
from ingest.fast_path import EventConnection
from ingest.held_folder import held_folder
from ingest.http.activation import inherited
from ingest.http.data_folder import open_data_folder
from ingest.http.environment import parser_of
from ingest.http.serve import allow_files, listen, serve
from ingest.settings import Settings
from ingest.sites.watched import started
from ingest.spool import PROBE_BYTES


def main() -> int:
    parser_of("ingest", __doc__, Settings).parse_args()
    settings = Settings.from_env(os.environ)
    folder = open_data_folder("ingest", settings.data_dir, PROBE_BYTES)
    check_countries(settings)
    sites = started("ingest", settings.sites)
    allow_files("ingest", settings.connections_max)
    listener = inherited("ingest") or listen("ingest", settings.host, settings.port)
    with held_folder(folder / "tmp", "ingest-") as counters:
        task = f"writing to {settings.data_dir}"
        make_app = partial(create_app, settings, counters, sites=sites)
        return serve(
            "ingest",
            task,
            make_app,
            EventConnection,
            listener,
            settings.drain_s_max,
            settings.workers,
        )


def check_countries(settings: Settings) -> None:
    """Raises SystemExit with one line if there is no telling countries as the settings say."""
    try:
        Countries(settings.country_mmdb, settings.country_header, settings.trusted_proxies)
    except ValueError as error:
        raise SystemExit(f"ingest: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
