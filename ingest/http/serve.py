"""A stage as a process: it listens, says so, serves until a signal comes, and stops in order."""

import logging
import math
import resource
import signal
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from ingest.http.connection import Connection

LOGGING = {  # a dict because uvicorn hands it on to every worker
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
}
BACKLOG = 2048
OTHER_FILES = 64  # that a process has open beside its connections
GRACE_S = 2  # and the drain: for requests under way at a stop, and what is closed after them


def listen(stage: str, host: str, port: int) -> socket.socket:
    """Raises SystemExit with one line if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        message = f"{stage}: cannot listen on {host}:{port}: {error.strerror}"
        raise SystemExit(message) from None
    listener.set_inheritable(True)
    return listener


def allow_files(stage: str, connections_max: int) -> None:
    """As many as we may have. Raises SystemExit if that is not one for each connection."""
    needed = connections_max + OTHER_FILES
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SystemExit(
            f"{stage}: {stage.upper()}_CONNECTIONS_MAX needs {needed} open files, "
            f"but `ulimit -Hn` allows {hard}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # its workers inherit it


def serve(
    stage: str,
    task: str,
    make_app: Callable[[], Starlette],
    connection: type[Connection],
    listener: socket.socket,
    drain_s_max: float,
    workers: int = 1,
) -> int:
    """Until SIGINT or SIGTERM; returns the exit status. `task` is told in the log's first line."""
    config = uvicorn.Config(
        make_app,
        factory=True,
        workers=workers,
        loop="uvloop",
        http=connection,
        ws="none",
        lifespan="on",
        log_config=LOGGING,
        access_log=False,  # nothing is logged for a request
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S + math.ceil(drain_s_max),
    )
    host, port = listener.getsockname()[:2]
    logging.getLogger(stage).info("listening on http://%s:%d, %s", host, port, task)
    # uvicorn raises the signal once more after a graceful stop; that stop is what was asked for
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    if workers > 1:
        Multiprocess(config, sockets=[listener]).run()
        return 0
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    return 0 if server.started else 1
