"""The fast path: a plain `POST /event` is answered without a task, a scope or an ASGI message.

When the head of a request is complete, it is either a plain event (see `_is_plain`), and what
follows stays here, or it goes to the Starlette app as every other request does. Answers leave in
the order of their requests: an event that comes while the app is at work goes to the app as well;
a request for the app that comes while events wait for the disk is queued behind them.
"""

import asyncio
from collections import deque
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from ingest.admission import Admission
from ingest.client import Client
from ingest.context.request import Context
from ingest.dialects.dialect import Options
from ingest.event import EVENT_BYTES_MAX
from ingest.http.connection import Connection
from ingest.http.incoming import BODY, IDLE
from ingest.http.message import HEADERS_MAX, encode
from ingest.http.problem import Refused
from ingest.receipt import to_line
from ingest.responses import Answers
from ingest.spool import Spool

PIPELINE_MAX = 256  # events of one connection that wait for their answers
UNUSUAL = frozenset((b"content-encoding", b"transfer-encoding", b"expect", b"upgrade"))


class Due:
    """An event's answer: asked for, and ready once the spool has called this."""

    __slots__ = ("answer", "connection", "keep_alive", "options", "origin")

    def __init__(
        self, connection: "EventConnection", options: Options, keep_alive: bool, origin: str | None
    ) -> None:
        self.connection = connection
        self.options = options
        self.keep_alive = keep_alive
        self.origin = origin
        self.answer: bytes | None = None

    def __call__(self, refused: Refused | None) -> None:
        self.answer = self.connection.answer(self, refused)
        self.connection.deliver()


class EventConnection(Connection):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # Shared by all connections
        self.answers: Answers = app_state["answers"]
        self.spool: Spool = app_state["spool"]
        self.admission: Admission = app_state["admission"]
        self.context: Context = app_state["context"]
        self.trusted_proxies: str = app_state["settings"].trusted_proxies
        self.plain_targets: dict[bytes, Options] = app_state["plain_targets"]

        # Fixed for the life of this one
        self.peer = ""
        self.is_unasked = False  # what it sends is taken, whoever sends it

        # Events that are not answered yet, in the order in which they came
        self.due: deque[Due] = deque()

        # The event whose body is being received
        self.event: Due | None = None
        self.event_headers: dict[bytes, bytes] = {}

    @property
    def at_work(self) -> bool:
        return bool(self.due) or super().at_work

    def may_parse(self) -> bool:
        return len(self.due) <= PIPELINE_MAX and super().may_parse()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.peer = self.client[0] if self.client else ""
        self.is_unasked = self.admission.asks_nothing_of(self.peer)

    # Parser callbacks

    def on_headers_complete(self) -> None:
        options = self.plain_targets.get(self.url)
        if options is None or not self._is_plain(headers := dict(self.headers)):
            super().on_headers_complete()
            return
        self.phase, self.waits_since = BODY, self.limits.now
        self.undigested_bytes = 0
        self.body_limit = EVENT_BYTES_MAX
        origin = headers[b"origin"].decode("latin-1") if b"origin" in headers else None
        self.event = Due(self, options, self.parser.should_keep_alive(), origin)
        self.event_headers = headers

    def _is_plain(self, headers: dict[bytes, bytes]) -> bool:
        return (
            len(headers) == len(self.headers) <= HEADERS_MAX  # and none comes twice
            and self.is_head_short()
            and b"host" in headers
            and int(headers.get(b"content-length", EVENT_BYTES_MAX + 1)) <= EVENT_BYTES_MAX
            and headers.keys().isdisjoint(UNUSUAL)
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.exchange is None
            and not self.queue
        )

    def on_message_complete(self) -> None:
        event = self.event
        if event is None:
            super().on_message_complete()
            return
        self.phase, self.waits_since = IDLE, self.limits.now
        self.undigested_bytes = 0
        self.event = None
        if not event.keep_alive:
            self.is_last = True
        body, self.body = self.body, b""
        self.due.append(event)
        if len(self.due) > PIPELINE_MAX:
            self.pause_reading()
        try:
            self.spool.append(self._line(body, event.options), event.options.synced, event)
        except Refused as refused:
            event(refused)

    def _line(self, body: bytes, options: Options) -> bytes:
        """Raises Refused."""
        receipt = self.spool.receipt()
        if self.is_unasked and not options.visitor:
            return to_line(body, receipt)
        client = Client(self.peer, self.event_headers, self.trusted_proxies)
        sender = self.admission.sender(client)
        identify = self.context.identify(client, receipt) if options.visitor else None
        return to_line(body, receipt, identify, sender)

    # Answers

    def answer(self, event: Due, refused: Refused | None) -> bytes:
        if refused is None and event.keep_alive:
            return self.answers.accepted_bytes(event.origin, self.server_state.default_headers)
        if refused is None:
            response = self.answers.accepted(event.origin)
        else:
            response = self.answers.refuse(event.origin, refused)
        return encode(response, self.server_state.default_headers, event.keep_alive)

    def deliver(self) -> None:
        """Send the answers that are ready, up to the first event that waits for the disk."""
        due = self.due
        while due and (answer := due[0].answer):
            self.transport.write(answer)
            if not due.popleft().keep_alive:
                due.clear()
                self.transport.close()
        if not due and (self.queue or self.refused or self.unparsed or self.has_ended):
            self.go_on()

    def go_on(self) -> None:
        if not self.due:
            super().go_on()

    # The end

    def forget_incoming(self) -> None:
        self.event = None
        super().forget_incoming()

    def close_after_answers(self) -> None:
        if self.due and not self.queue:
            self.is_last = True
            self.unparsed.clear()
            self.due[-1].keep_alive = False
        else:
            super().close_after_answers()

    def connection_lost(self, exc: Exception | None) -> None:
        self.due.clear()
        super().connection_lost(exc)
