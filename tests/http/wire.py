"""Connections to a server inside one event loop, so that a test decides where its bytes are cut."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

import ingest.app
import ingest.settings
import report.app
import report.settings
from ingest.fast_path import EventConnection
from ingest.http.connection import Connection

DATE = [(b"date", b"Sun, 22 Nov 2026 08:00:00 GMT")]


class AppOnly(EventConnection):
    """The same connection without the fast path."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        assert self.plain_targets
        self.plain_targets = {}


# Ingest by its fast path, by its app alone, and its app on uvicorn's own protocol; report
SERVICES = {
    "fast": EventConnection,
    "app": AppOnly,
    "uvicorn": HttpToolsProtocol,
    "report": Connection,
}
OURS = ["fast", "app", "report"]
ACCEPTED = {"fast": 202, "app": 202, "report": 404}  # what POST /event gets


class Worker:
    """One worker's app and connections."""

    def __init__(self, protocol, config: uvicorn.Config, state) -> None:
        self.state = state
        self.server = ServerState()
        self.server.default_headers = DATE
        self._new = lambda: protocol(config, self.server, state)

    async def connect(self) -> tuple[socket.socket, asyncio.Protocol]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        _, connection = await loop.connect_accepted_socket(self._new, theirs)
        return ours, connection


@asynccontextmanager
async def worker(service: str, data_dir: Path, disk=None, **settings) -> AsyncIterator[Worker]:
    if service == "report":
        named = {"data_dir": str(data_dir), "allowed_hosts": "x"} | settings
        app = report.app.create_app(report.settings.Settings(**named))
    else:
        named = {"data_dir": str(data_dir)} | settings
        app = ingest.app.create_app(ingest.settings.Settings(**named), disk=disk)
    config = uvicorn.Config(app, ws="none", access_log=False)
    async with app.router.lifespan_context(app) as state:
        running = Worker(SERVICES[service], config, state)
        try:
            yield running
        finally:
            for connection in list(running.server.connections):
                connection.transport.abort()
            await asyncio.sleep(0)


async def converse(worker: Worker, chunks: list[bytes], half_close: bool = False) -> bytes:
    """Send the chunks, each read by the server on its own; returns all that it answers until it
    closes, so the last request ought to ask for that, or `half_close` says that there is no more.
    """
    loop = asyncio.get_running_loop()
    client, _ = await worker.connect()
    answers = asyncio.create_task(read_all(client))
    with client:
        for chunk in chunks:
            # it may have closed; what it said before is what counts
            with suppress(BrokenPipeError, ConnectionResetError):
                await loop.sock_sendall(client, chunk)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(10):
            return await answers


async def read_all(client: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    received = b""
    with suppress(ConnectionResetError):
        while data := await loop.sock_recv(client, 1 << 20):
            received += data
    return received


async def until(condition: Callable[[], object], patience_s: float = 10) -> None:
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.01)


def spool_bytes(data_dir: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((data_dir / "spool").iterdir()))
