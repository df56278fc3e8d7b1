"""python -m ingest: serve the ingest API."""

import sys

if sys.platform != "linux":
    raise SystemExit("ingest: this needs Linux, whose fdatasync and flock it builds on")

import os
from functools import partial
from pathlib import Path

from ingest.app import create_app
from ingest.context.country import Countries
from ingest.fast_path import EventConnection
from ingest.held_folder import held_folder
from ingest.http.environment import parser_of
from ingest.http.serve import allow_files, listen, serve
from ingest.segment import spool_folder
from ingest.settings import Settings
from ingest.sites.watched import started


def main() -> int:
    parser_of("ingest", __doc__, Settings).parse_args()
    settings = Settings.from_env(os.environ)
    check_folder(settings)
    check_countries(settings)
    sites = started("ingest", settings.sites)
    allow_files("ingest", settings.connections_max)
    listener = listen("ingest", settings.host, settings.port)
    with held_folder(Path(settings.data_dir) / "tmp", "ingest-") as counters:
        task = f"writing to {settings.data_dir}"
        make_app = partial(create_app, settings, counters, sites=sites)
        return serve("ingest", task, make_app, EventConnection, listener, settings.workers)


def check_folder(settings: Settings) -> None:
    """Raises SystemExit with one line if the spool cannot be written to."""
    if not os.path.isdir(settings.data_dir):
        raise SystemExit(f"ingest: DATA_DIR {settings.data_dir!r} is not a folder")
    spool = spool_folder(settings.data_dir)
    try:
        spool.mkdir(mode=0o750, exist_ok=True)
        with open(spool / f"probe-{os.getpid()}", "xb") as probe:
            os.unlink(probe.name)
    except OSError as error:
        raise SystemExit(
            f"ingest: DATA_DIR {settings.data_dir!r} takes no files: {error}"
        ) from None


def check_countries(settings: Settings) -> None:
    """Raises SystemExit with one line if there is no telling countries as the settings say."""
    try:
        Countries(settings.country_mmdb, settings.country_header, settings.trusted_proxies)
    except ValueError as error:
        raise SystemExit(f"ingest: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
