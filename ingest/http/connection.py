"""Uvicorn's HTTP/1.1 protocol, with the limits that it lacks.

Every request is limited in time and size, every refusal is a problem document, and a refused
connection is closed only after all that came before has been answered.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from ingest.event import BATCH_BYTES_MAX, EVENT_BYTES_MAX
from ingest.http.limits import HEAD_BYTES_MAX, HEADERS_MAX, LINGER_S, Limits
from ingest.refusal import Refusal, Refused
from ingest.responses import Answers, encode
from ingest.settings import Settings

IDLE, HEAD, BODY, PARTING = range(4)  # what a connection waits for
BODY_BYTES_MAX = {b"/event": EVENT_BYTES_MAX}


class Flow(FlowControl):
    """Uvicorn reads on whenever its app asks for a body. This asks the connection first: else a
    flood of pipelined requests would be queued without end."""

    def __init__(self, transport: asyncio.Transport, may_read: Callable[[], bool]) -> None:
        super().__init__(transport)
        self.may_read = may_read

    def resume_reading(self) -> None:
        if self.may_read():
            super().resume_reading()


class GuardedProtocol(HttpToolsProtocol):
    """One connection. `app_state` is what the lifespan of ingest.app yields."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # Shared by all connections
        self.settings: Settings = app_state["settings"]
        self.answers: Answers = app_state["answers"]
        self.limits: Limits = app_state["limits"]

        # What it waits for, and since when
        self.phase = IDLE
        self.waits_since = self.limits.now
        self.undigested_bytes = 0  # received since a head or a piece of a body was complete
        self.head_is_counted = False  # in full; not if it began behind another request

        # Of the app's answers, the one that is being given
        self.running: RequestResponseCycle | None = None
        self.refused: Refused | None = None  # told when all before it is answered

    @property
    def at_work(self) -> bool:
        return bool(self.pipeline) or (
            self.running is not None
            and not self.running.response_complete
            and not self.running.disconnected
        )

    def may_read(self) -> bool:
        """Not while answers are unread, or requests wait for theirs."""
        return not self.flow.write_paused and not self.pipeline

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport, self.may_read)
        try:
            self.limits.admit(self)
        except Refused as refused:
            self.refuse(refused)
            transport.close()  # at once: no deadline is kept for what has no place

    def connection_lost(self, exc: Exception | None) -> None:
        self.limits.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.phase == PARTING:
            return
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self.undigested_bytes += len(data)
        unread = None
        try:
            self.parser.feed_data(data)
            if self.undigested_bytes > HEAD_BYTES_MAX:
                raise headers_too_large()
        except Refused as refused:
            self.refuse(refused)
        except httptools.HttpParserUpgrade as upgrade:
            unread = data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, Refused):
                raise
            self.refuse(error.__context__)
        except httptools.HttpParserError as error:
            self.refuse(malformed(f"llhttp says: {error}"))
        if unread is not None:
            self._ignore_upgrade(unread)
        elif self.phase == BODY:
            self.hold_body()

    def hold_body(self) -> None:
        """A body is not complete yet. The app's are held as it reads them."""

    # Parser callbacks. What they raise arrives in data_received.

    def on_message_begin(self) -> None:
        # uvicorn makes the scope here; that is left until the app needs it
        self.phase, self.waits_since = HEAD, self.limits.now
        self.head_is_counted = self.undigested_bytes > 0
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        self._check_head()
        self.phase, self.waits_since = BODY, self.limits.now
        self.undigested_bytes = 0
        if not self.parser.should_upgrade():  # else _ignore_upgrade follows
            self._hand_to_app()

    def _hand_to_app(self) -> None:
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers += headers
        super().on_headers_complete()
        self.headers = []  # uvicorn would append trailers to those of the scope

    def on_body(self, body: bytes) -> None:
        self.undigested_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.phase, self.waits_since = IDLE, self.limits.now
        self.undigested_bytes = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _check_head(self) -> None:
        """What llhttp leaves to its users: RFC 9112, 3.2 and 6.1, and our sizes."""
        if len(self.headers) > HEADERS_MAX or not self._is_head_short():
            raise headers_too_large()
        names = [name for name, _ in self.headers]
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise malformed(f"This is HTTP/1.1, not HTTP/{version}")
        if names.count(b"host") > 1 or (version == "1.1" and b"host" not in names):
            raise malformed("HTTP/1.1 needs exactly one Host")
        if version == "1.0" and b"transfer-encoding" in names:
            raise malformed("HTTP/1.0 has no Transfer-Encoding")
        limit = BODY_BYTES_MAX.get(self._path(), BATCH_BYTES_MAX)
        if int(dict(self.headers).get(b"content-length", 0)) > limit:
            raise Refused(Refusal.TOO_LARGE, f"The body may have {limit:,} bytes.")

    def _is_head_short(self) -> bool:
        if self.head_is_counted and self.undigested_bytes <= HEAD_BYTES_MAX:
            return True
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        return size <= HEAD_BYTES_MAX

    def _path(self) -> bytes:
        try:
            path = httptools.parse_url(self.url).path
        except httptools.HttpParserError:
            path = None
        if path is None or self.parser.get_method() == b"CONNECT":
            raise malformed("The target is not a path")
        return path

    def _ignore_upgrade(self, rest: bytes) -> None:
        """RFC 9110, 7.8: an Upgrade may be ignored. But llhttp has skipped the body, so the
        request is read again without that header (Java's HttpClient sends it to everyone)."""
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join([*head, b"\r\n", rest]))

    # The app's answers

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._part()

    # The end of a connection

    def refuse(self, refused: Refused) -> None:
        """Answer this when all that came before is answered, and read no request after it."""
        self.phase, self.waits_since = PARTING, self.limits.now
        self.refused = refused
        self._abandon_half_a_request()
        self._part()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more, but may wait for its answers: RFC 9112, 9.6."""
        if self.phase != IDLE or not self.at_work:
            return False  # close
        self.close_after_answers()
        return True

    def close_after_answers(self) -> None:
        self.cycle.keep_alive = False  # of the last request

    def shutdown(self) -> None:
        if self.phase in (HEAD, BODY):  # it could keep us waiting
            self.refuse(Refused(Refusal.SPOOL_UNAVAILABLE, "The server is stopping; try again."))
        else:
            super().shutdown()

    def _abandon_half_a_request(self) -> None:
        cycle = self.cycle
        if isinstance(cycle, RequestResponseCycle) and cycle.more_body:
            if self.pipeline and self.pipeline[0][0] is cycle:
                self.pipeline.popleft()
            cycle.disconnected = True  # its task sees a client that left
            cycle.message_event.set()

    def _part(self) -> None:
        if self.refused is None or self.at_work or self.transport.is_closing():
            return
        origin = dict(self.headers or ()).get(b"origin", b"").decode("latin-1")
        answer = self.answers.refuse(origin, self.refused)
        self.refused = None
        self.transport.write(encode(answer, self.server_state.default_headers, keep_alive=False))
        self.transport.write_eof()
        self.flow.resume_reading()  # a client that is still sending shall come to reading

    def pause_writing(self) -> None:
        super().pause_writing()
        self.flow.pause_reading()  # a client that reads no answers shall ask for no more

    def resume_writing(self) -> None:
        super().resume_writing()
        self.flow.resume_reading()

    def check_deadline(self, now: float) -> None:
        waited_s = now - self.waits_since
        if self.phase == PARTING:
            if waited_s > LINGER_S and not self.at_work:
                self.transport.abort()
        elif self.flow.write_paused:
            if waited_s > self.settings.answer_s_max:
                self.transport.abort()
        elif self.flow.read_paused:
            pass  # it is we who are slow
        elif self.phase == HEAD:
            if waited_s > self.settings.headers_s_max:
                self.refuse(Refused(Refusal.REQUEST_TIMEOUT, "The headers took too long."))
        elif self.phase == BODY:
            if waited_s > self.settings.body_s_max:
                self.refuse(Refused(Refusal.REQUEST_TIMEOUT, "The body took too long."))
        elif waited_s > self.settings.idle_s_max and not self.at_work:
            self.transport.abort()

    def evict(self) -> None:
        self.transport.abort()  # close() would wait for a client that does not read


def malformed(detail: str) -> Refused:
    return Refused(Refusal.MALFORMED_REQUEST, f"{detail}.")


def headers_too_large() -> Refused:
    return Refused(
        Refusal.HEADERS_TOO_LARGE,
        f"The head may have {HEAD_BYTES_MAX:,} bytes and {HEADERS_MAX} headers.",
    )
