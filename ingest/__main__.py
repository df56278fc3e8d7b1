"""python -m ingest: serve the ingest API."""

import sys

if sys.platform != "linux":
    raise SystemExit("ingest: this needs Linux, whose fdatasync and flock it builds on")

import argparse
import logging
import math
import os
import resource
import signal
import socket
from functools import partial
from pathlib import Path

import uvicorn
from uvicorn.supervisors import Multiprocess

from ingest.app import create_app
from ingest.context.country import Countries
from ingest.held_folder import held_folder
from ingest.segment import spool_folder
from ingest.settings import Settings, describe

logger = logging.getLogger("ingest")

LOGGING = {  # a dict because uvicorn hands it on to every worker
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
}
OTHER_FILES = 64  # that a worker has open beside its connections
GRACE_S = 3  # for requests under way at shutdown; with closing the segment it stays under 5


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m ingest",
        description=__doc__,
        epilog="settings, from the environment:\n" + describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    settings = Settings.from_env(os.environ)
    check_folder(settings)
    check_countries(settings)
    allow_files(settings)
    listener = listen(settings)
    with held_folder(Path(settings.data_dir) / "tmp", "ingest-") as counters:
        return serve(settings, listener, counters)


def serve(settings: Settings, listener: socket.socket, counters: Path) -> int:
    config = uvicorn.Config(
        partial(create_app, settings, counters),
        factory=True,
        workers=settings.workers,
        loop="uvloop",
        http="ingest.fast_path:EventConnection",
        ws="none",
        lifespan="on",
        log_config=LOGGING,
        access_log=False,  # nothing is logged for an event
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=math.ceil(settings.idle_s_max),
        timeout_graceful_shutdown=GRACE_S,
    )
    logger.info(
        "listening on http://%s:%d, writing to %s", settings.host, settings.port, settings.data_dir
    )
    # uvicorn raises the signal once more after a graceful stop; that stop is what was asked for
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    if settings.workers > 1:
        Multiprocess(config, sockets=[listener]).run()
        return 0
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    return 0 if server.started else 1


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


def allow_files(settings: Settings) -> None:
    """Raises SystemExit if the system does not allow a file for each connection."""
    needed = settings.connections_max + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SystemExit(
            f"ingest: INGEST_CONNECTIONS_MAX needs {needed} open files, "
            f"but `ulimit -Hn` allows {hard}"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))  # its workers inherit it


def listen(settings: Settings) -> socket.socket:
    """Raises SystemExit with one line if the port is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        raise SystemExit(
            f"ingest: cannot listen on {settings.host}:{settings.port}: {error.strerror}"
        ) from None
    listener.set_inheritable(True)
    return listener


if __name__ == "__main__":
    sys.exit(main())
