"""One HTTP/1.1 connection of either server: uvicorn's `Server` accepts it, llhttp parses it.

Every request is limited in time and size, every refusal is a problem document, and a refused
connection is closed only after all that came before has been answered. The app has one request of
a connection at a time, and has it whole; what a client sends meanwhile is kept as the bytes that
it is, and counted, and not parsed before its turn.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from ingest.http.exchange import Exchange
from ingest.http.incoming import BODY, HEAD, IDLE, PARTING, PIECE_BYTES, Incoming
from ingest.http.limits import LINGER_S, Ended
from ingest.http.message import Headers, Target, encode, malformed
from ingest.http.pace import Pace
from ingest.http.peer import has_left, unread_input_bytes
from ingest.http.problem import Code, Refused

UNPARSED_BYTES_MAX = 64 * 1024  # with more, no more is read

Refuse = Callable[[str, Refused], Response]  # given the Origin of the request


class Connection(Incoming):
    """`app_state` is what the lifespan of the app yields. It has the `limits` that all connections
    share, `refuse`, which makes an answer of what is refused here, and `body_bytes_max` by path."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        super().__init__(app_state["limits"], app_state["body_bytes_max"])
        # Shared by all connections
        self.loop = _loop or asyncio.get_running_loop()
        self.app = config.loaded_app
        self.server_state = server_state
        self.app_state = app_state
        self.answer_of: Refuse = app_state["refuse"]

        # Fixed for the life of this one
        self.transport: asyncio.Transport
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int | None] | None = None

        # Requests that are not answered yet
        self.exchange: Exchange | None = None  # the app is at work on it
        self.queue: deque[Exchange] = deque()  # those of one piece, behind another one
        self.refused: Refused | None = None  # told when all before it is answered

        # Its client, and what is kept for it
        self.pace = Pace(self.limits.now)
        self.has_ended = False  # it sends no more
        self.held_bytes = 0  # as the limits have counted it
        self.read_paused = False
        self.writable = asyncio.Event()
        self.writable.set()

    # What limits ask

    @property
    def at_work(self) -> bool:
        """There is a request to answer."""
        return self.exchange is not None or bool(self.queue)

    @property
    def may_make_room(self) -> bool:
        """It waits for its client, to send or to read; or has asked for more than one thing."""
        return not self.at_work or not self.writable.is_set() or bool(self.unparsed)

    # asyncio's calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.server_state.connections.add(self)  # type: ignore[arg-type]
        self.transport = transport
        self.client = get_remote_addr(transport)
        self.server = get_local_addr(transport)
        try:
            self.limits.admit(self)
        except Refused as refused:
            self.refuse(refused)
            transport.close()  # at once: no deadline is kept for what has no place

    def connection_lost(self, exc: Exception | None) -> None:
        self.limits.leave(self)
        self.server_state.connections.discard(self)
        self.forget_incoming()
        self.queue.clear()
        if self.exchange:
            self.exchange.leave()
            self.exchange = None
        self.limits.hold(self, 0)
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        if self.phase == PARTING or self.is_last:
            return
        size = len(data)
        # nothing is read while answers are unread, so there is no need to ask may_parse
        if (
            (size <= PIECE_BYTES or size <= self.content_length - len(self.body))
            and self.exchange is None
            and not (self.unparsed or self.queue)
        ):
            self.parse(data)
            if self.phase == BODY or self.held_bytes:
                self.pace.moved_bytes += size
                self._hold()
        else:
            self.pace.moved_bytes += size
            self.unparsed += data
            self.go_on()
            self._hold()
        if self.limits.is_stopping:
            self._make_last()

    def eof_received(self) -> bool:
        """The client sends no more, but may wait for its answers: RFC 9112, 9.6."""
        self.has_ended = True
        if not self.unparsed and self.phase == IDLE:
            self.close_after_answers()
        if self.exchange:
            self.exchange.look_whether_it_left()
        self.go_on()
        return not self.transport.is_closing()

    def pause_writing(self) -> None:
        self.writable.clear()
        self.pause_reading()  # a client that reads no answers shall ask for no more

    def resume_writing(self) -> None:
        self.pace.taken(self.limits.now)
        self.writable.set()
        self.go_on()

    def shutdown(self) -> None:
        """Uvicorn's `Server` stops.

        A request may be on its way here, and would be lost if we closed now. So the next answer
        says that it is the last one (RFC 9112, 9.6), and who asks nothing is waited for.
        """
        self.limits.stop()
        self._make_last()

    def _make_last(self) -> None:
        """When the server stops, and all that was received is there to be answered."""
        if self.at_work and self.phase == IDLE and not self.unparsed:
            self.close_after_answers()

    def _stop_waiting(self) -> None:
        if self.phase in (HEAD, BODY):
            self.refuse(Refused(Code.STOPPING, "The server is stopping; try again."))
        elif not unread_input_bytes(self.transport):
            self.close_after_answers()

    # From requests to answers

    def exchange_of(
        self, method: bytes, target: Target, version: str, headers: Headers, keep_alive: bool
    ) -> Exchange:
        return Exchange(self, method, target, version, headers, keep_alive)

    def may_parse(self) -> bool:
        """Not while answers are unread, or due."""
        return self.exchange is None and not self.queue and self.writable.is_set()

    def received(self, exchange: Exchange) -> None:
        if self.at_work:
            self.queue.append(exchange)
        else:
            self._start(exchange)

    def _start(self, exchange: Exchange) -> None:
        self.exchange = exchange
        task = self.loop.create_task(exchange.run(self.app))
        self.server_state.tasks.add(task)
        task.add_done_callback(self.server_state.tasks.discard)

    def answered(self, exchange: Exchange) -> None:
        self.server_state.total_requests += 1
        self.exchange = None
        self.waits_since = self.limits.now
        if exchange.keep_alive:
            self.loop.call_soon(self.go_on)  # not within the app's call
        else:
            self.transport.close()

    def go_on(self) -> None:
        """With what waits for its turn, when there is nothing before it."""
        if self.is_parsing or self.exchange is not None or self.transport.is_closing():
            return
        if self.queue:
            self._start(self.queue.popleft())
            return
        if self.incoming:
            self.incoming.tell_to_continue()
        self.parse_on()
        self._hold()
        if self.at_work:
            if self.limits.is_stopping:
                self._make_last()
            return
        if self.refused:
            self._part()
        elif self.has_ended and not self.unparsed:
            self._end_of_input()

    def break_off(self) -> None:
        """An answer lacks its end, so that must be seen."""
        self.transport.close()

    # The end of a connection

    def refuse(self, refused: Refused) -> None:
        """Answer this when all that came before is answered, and read no request after it."""
        self.phase, self.waits_since = PARTING, self.limits.now
        self.refused = refused
        if self.incoming:
            self.headers = self.incoming.headers
        self.forget_incoming()
        self._hold()
        self.go_on()

    def _part(self) -> None:
        origin = dict(self.headers).get(b"origin", b"").decode("latin-1")
        assert self.refused
        answer = self.answer_of(origin, self.refused)
        self.refused, self.waits_since = None, self.limits.now
        self.transport.write(encode(answer, self.server_state.default_headers, keep_alive=False))
        if self.has_ended:
            self.transport.close()
        else:
            self.transport.write_eof()
            self._resume_reading()  # a client that is still sending shall come to reading

    def _end_of_input(self) -> None:
        if self.phase in (HEAD, BODY):
            self.refuse(malformed("The request ends before its end"))
        else:
            self.transport.close()

    def close_after_answers(self) -> None:
        """No request comes behind those that are there."""
        self.is_last = True
        self.unparsed.clear()
        if self.queue:
            self.queue[-1].keep_alive = False
        elif self.exchange:
            self.exchange.keep_alive = False
        else:
            self.transport.close()

    def end(self, why: Ended) -> None:
        self.limits.telemetry.connection_ended(why)
        self.transport.abort()  # close() would wait for a client that does not read

    # Reading, and what is kept of it

    def _hold(self) -> None:
        """Tell the limits how much is kept, and read no more than may be kept."""
        held = len(self.unparsed) + len(self.body)
        if self.exchange:
            held += self.exchange.body_bytes
        if held <= PIECE_BYTES:
            held = 0  # a small request shall pass though memory is full of large ones
        try:
            self.limits.hold(self, held)
        except Refused as refused:
            self.refuse(refused)
            return
        if len(self.unparsed) > UNPARSED_BYTES_MAX or not self.writable.is_set():
            self.pause_reading()
        else:
            self._resume_reading()

    def pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    # Time

    def check_deadline(self, now: float) -> None:
        settings, waited_s = self.limits.settings, now - self.waits_since
        self.pace.look_at(self.transport, now)
        if now - self.pace.unread_since > settings.answer_s_max:
            self.end(Ended.UNREAD)
        elif self.at_work:
            if self.has_ended and has_left(self.transport):
                self.transport.abort()
        elif self.phase == PARTING:
            if waited_s > LINGER_S:
                self.transport.abort()
        elif now >= self.limits.stops_at:
            self._stop_waiting()
        elif self.phase == HEAD:
            if waited_s > settings.headers_s_max:
                self.refuse(Refused(Code.REQUEST_TIMEOUT, "The headers took too long."))
        elif self.phase == BODY:
            if waited_s > settings.body_s_max:
                self.refuse(Refused(Code.REQUEST_TIMEOUT, "The body took too long."))
        elif waited_s > settings.idle_s_max:
            self.end(Ended.IDLE)
