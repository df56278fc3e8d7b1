"""python -m report: serve the report API."""

import argparse
import logging
import os
import resource
import signal
import socket
import sys

import pyarrow as pa
import uvicorn

from ingest.http.connection import Connection
from report.app import create_app
from report.settings import Settings, describe

logger = logging.getLogger("report")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
}
GRACE_S = 3  # for questions under way at shutdown


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m report",
        description=__doc__,
        epilog="settings, from the environment:\n" + describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    settings = Settings.from_env(os.environ)
    if not os.path.isdir(settings.data_dir):
        raise SystemExit(f"report: DATA_DIR {settings.data_dir!r} is not a folder")
    if not os.access(settings.data_dir, os.W_OK | os.X_OK):
        raise SystemExit(f"report: DATA_DIR {settings.data_dir!r} takes no files")
    # mimalloc, Arrow's default, keeps 35 MiB more of what the questions so far have needed
    pa.set_memory_pool(pa.system_memory_pool())
    _allow_open_files()
    listener = listen(settings)
    config = uvicorn.Config(
        create_app(settings),
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=LOGGING,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    logger.info(
        "listening on http://%s:%d, reading %s", settings.host, settings.port, settings.data_dir
    )
    # uvicorn raises the signal once more after a graceful stop; that stop is what was asked for
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    return 0 if server.started else 1


def _allow_open_files() -> None:
    """As many as we may have: where parts cannot be linked, each one is held open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listen(settings: Settings) -> socket.socket:
    """Raises SystemExit with one line if the port is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=128)
    except OSError as error:
        raise SystemExit(
            f"report: cannot listen on {settings.host}:{settings.port}: {error.strerror}"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
