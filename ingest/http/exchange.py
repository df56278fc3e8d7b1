"""A request that has come whole, the app's answer to it, and ASGI between the two."""

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveEvent,
    ASGISendEvent,
    HTTPScope,
)

from ingest.http.message import STATUS_LINE, Headers, Target

if TYPE_CHECKING:
    from ingest.http.connection import Connection

logger = logging.getLogger("http")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
NOT_IN_A_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Exchange:
    """Small until it is run: some may wait for their turn."""

    __slots__ = (
        "_bytes_left",
        "_connection",
        "_is_chunked",
        "_is_left",
        "_is_received",
        "_left",
        "_method",
        "_target",
        "_version",
        "body",
        "body_bytes",
        "headers",
        "is_complete",
        "is_started",
        "keep_alive",
        "waits_to_continue",
    )

    def __init__(
        self,
        connection: "Connection",
        method: bytes,
        target: Target,
        version: str,
        headers: Headers,
        keep_alive: bool,
    ) -> None:
        # The request
        self._connection = connection
        self._method = method
        self._target = target
        self._version = version
        self.headers = headers
        self.body = b""
        self.body_bytes = 0  # counted as kept until it is answered
        self._is_received = False  # by the app
        self.waits_to_continue = version != "1.0" and any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )

        # Its answer
        self.keep_alive = keep_alive
        self.is_started = False
        self.is_complete = False
        self._is_chunked = False
        self._bytes_left = 0  # of its Content-Length

        # Its client
        self._is_left = False
        self._left: asyncio.Event | None = None  # that the app waits for

    async def run(self, app: ASGI3Application) -> None:
        try:
            await app(self._scope(), self._receive, self._send)
        except Exception:
            logger.exception("no answer: this is a bug")
        finally:
            if not self.is_complete:
                self._connection.break_off()

    def _scope(self) -> HTTPScope:
        connection = self._connection
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self._version,
            "method": self._method.decode("ascii"),
            "scheme": "http",
            "path": unquote(self._target.path.decode("ascii")),
            "raw_path": self._target.path,
            "query_string": self._target.query,
            "root_path": "",
            "headers": self.headers,
            "client": connection.client,
            "server": connection.server,
            "state": connection.app_state.copy(),
            "extensions": {},
        }

    # Its client

    def tell_to_continue(self) -> None:
        if self.waits_to_continue:
            self.waits_to_continue = False
            self._connection.transport.write(CONTINUE)

    def leave(self) -> None:
        """The connection is lost."""
        self._is_left = True
        if self._left:
            self._left.set()

    def look_whether_it_left(self) -> None:
        """Who closed its half may still wait for the answer, or be gone. The app wants to know, so
        the other end is sent what costs no one anything; `peer.has_left` sees what comes back."""
        if self._left and not self.is_started and self._version != "1.0":
            self._connection.transport.write(PROCESSING)

    # ASGI

    async def _receive(self) -> ASGIReceiveEvent:
        if not self._is_received:
            self._is_received = True
            self.tell_to_continue()
            body, self.body = bytes(self.body), b""
            return {"type": "http.request", "body": body, "more_body": False}
        if not self._is_left and not self.is_complete:
            self._left = asyncio.Event()
            if self._connection.has_ended:
                self.look_whether_it_left()
            await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: ASGISendEvent) -> None:
        await self._connection.writable.wait()
        if self._is_left:
            return
        match message["type"]:
            case "http.response.start" if not self.is_started:
                self.is_started = True
                self._start(message["status"], list(message.get("headers", [])))
            case "http.response.body" if self.is_started and not self.is_complete:
                self._go_on(message.get("body", b""), message.get("more_body", False))
            case unexpected:
                raise RuntimeError(f"the app sent {unexpected} out of its turn")

    def _start(self, status: int, headers: Any) -> None:
        self.waits_to_continue = False
        has_length = closes = False
        head = [STATUS_LINE[status]]
        for name, value in [*self._connection.server_state.default_headers, *headers]:
            if NOT_IN_A_VALUE.search(value):
                raise RuntimeError(f"the app sent a header {name!r} that cannot be sent")
            name = name.lower()
            if name == b"content-length":
                has_length, self._bytes_left = True, int(value)
            elif name == b"connection" and value.lower() == b"close":
                closes, self.keep_alive = True, False
            head += [name, b": ", value, b"\r\n"]
        if not self.keep_alive and not closes:
            head.append(b"connection: close\r\n")
        if not has_length and self._method != b"HEAD" and status not in (204, 304):
            self._is_chunked = True
            head.append(b"transfer-encoding: chunked\r\n")
        self._connection.transport.write(b"".join([*head, b"\r\n"]))

    def _go_on(self, body: bytes, more_body: bool) -> None:
        transport = self._connection.transport
        if self._method == b"HEAD":
            self._bytes_left = 0
        elif self._is_chunked:
            coded = [b"%x\r\n" % len(body), body, b"\r\n"] if body else []
            transport.write(b"".join(coded if more_body else [*coded, b"0\r\n\r\n"]))
        else:
            self._bytes_left -= len(body)
            if self._bytes_left < 0 or (self._bytes_left and not more_body):
                raise RuntimeError("the app's answer has not the length that its head says")
            transport.write(body)
        if not more_body:
            self.is_complete = True
            if self._left:
                self._left.set()
            self._connection.answered(self)
