"""One HTTP connection: uvicorn's protocol, with the limits that it lacks."""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from report.problem import Code, Problem
from report.settings import Settings

HEAD_BYTES_MAX = 16 * 1024
HEADERS_MAX = 100


class Connection(HttpToolsProtocol):
    """Ends when a head takes too long or is too large, and while idle when there are too many.

    `app_state` is what the lifespan of report.app yields.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.settings: Settings = app_state["runtime"].settings

        # Of the head that is awaited or received; uvicorn's own timer is for what comes between
        self.head_deadline: asyncio.TimerHandle | None = None
        self.head_bytes = 0

        self.used_at = 0.0  # when it last sent something, in seconds of the loop's clock

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.used_at = self.loop.time()
        self._await_head()
        if len(self.connections) > self.settings.connections_max:
            self._leave_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_of_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.used_at = self.loop.time()
        if self.head_deadline is None and self.is_idle:
            self._await_head()
        awaited = self.head_deadline
        super().data_received(data)
        if self.head_deadline is None or self.head_deadline is not awaited:
            return  # complete, or begun with this data, which may be of other requests too
        self.head_bytes += len(data)
        if self.head_bytes > HEAD_BYTES_MAX:
            self.send_400_response(f"The head may have {HEAD_BYTES_MAX:,} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.head_deadline is None:  # behind a request that is not answered yet
            self._await_head()

    def on_headers_complete(self) -> None:
        self._end_of_head()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        hosts = sum(name == b"host" for name, _ in self.headers)
        one_host = hosts == 1 or (hosts == 0 and self.parser.get_http_version() == "1.0")
        if size > HEAD_BYTES_MAX or len(self.headers) > HEADERS_MAX or not one_host:
            raise ValueError("answered by send_400_response, as what llhttp refuses")
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """In the same form as every other refusal."""
        self._end_of_head()
        if self.transport.is_closing():
            return
        body = Problem(Code.MALFORMED_REQUEST, msg).body()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    @property
    def is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        self.head_bytes = 0
        self.head_deadline = self.loop.call_later(self.settings.headers_s_max, self._head_is_late)

    def _head_is_late(self) -> None:
        if self.flow.read_paused:  # it is we who do not read
            self._await_head()
        else:
            self.transport.abort()

    def _end_of_head(self) -> None:
        if self.head_deadline is not None:
            self.head_deadline.cancel()
            self.head_deadline = None

    def _leave_room(self) -> None:
        """The one that is idle for longest ends; if none is, this one."""
        connections = (each for each in self.connections if isinstance(each, Connection))
        idle = (each for each in connections if each.is_idle and not each.transport.is_closing())
        min(idle, key=lambda each: each.used_at).transport.abort()
