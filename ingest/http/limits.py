"""What the connections of a process may take from it: places, time and memory."""

import asyncio
import math
from enum import StrEnum
from heapq import nsmallest
from typing import Protocol

from ingest.http.pace import Pace
from ingest.http.problem import Code, Refused

LINGER_S = 2.0  # so that a client still sending can read why it is refused (RFC 9112, 9.6)
SWEEP_S = 0.5  # deadlines are kept this exactly
PACE_BYTES = 1024  # in two sweeps
SHARE = 16  # a full house makes room for one in so many at once, and of memory as much


class Ended(StrEnum):
    """Why a connection was ended without an answer."""

    IDLE = "idle"
    UNREAD = "unread"  # its client took nothing of its answers
    ROOM = "room"  # it made room for another one


class Settings(Protocol):
    """Of a stage; every name has its prefix there."""

    @property
    def connections_max(self) -> int: ...
    @property
    def headers_s_max(self) -> float: ...
    @property
    def body_s_max(self) -> float: ...
    @property
    def idle_s_max(self) -> float: ...
    @property
    def answer_s_max(self) -> float: ...
    @property
    def drain_s_max(self) -> float: ...
    @property
    def pending_bytes_max(self) -> int: ...


class Telemetry(Protocol):
    """Where a stage counts."""

    def connections_are(self, count: int) -> None: ...
    def connection_ended(self, why: Ended) -> None: ...


class Connection(Protocol):
    """What limits need to know of a connection."""

    pace: Pace
    waits_since: float  # when it last began to wait for its client
    held_bytes: int  # of requests that are not complete, or not answered

    @property
    def may_make_room(self) -> bool: ...
    def check_deadline(self, now: float) -> None: ...
    def refuse(self, refused: Refused) -> None: ...
    def end(self, why: Ended) -> None: ...


class Limits:
    """Shared by all connections of a process. One sweep looks at all their deadlines: a timer for
    each would cost more than the request that it guards."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self.settings = settings
        self.telemetry = telemetry
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time()  # as of the last sweep
        self.connections: dict[Connection, None] = {}  # in the order of their coming
        self.held_bytes = 0
        self.is_stopping = False
        self.stops_at = math.inf
        self._timer = self.loop.call_later(SWEEP_S, self._sweep)

    def close(self) -> None:
        self._timer.cancel()

    def stop(self) -> None:
        """Each connection has one more request, if it comes in time."""
        if not self.is_stopping:
            self.is_stopping = True
            self.stops_at = self.loop.time() + self.settings.drain_s_max

    def _sweep(self) -> None:
        self._timer = self.loop.call_later(SWEEP_S, self._sweep)
        self.now = self.loop.time()
        self.telemetry.connections_are(len(self.connections))
        for connection in list(self.connections):
            connection.check_deadline(self.now)

    # Places

    def admit(self, connection: Connection) -> None:
        """Raises Refused only if the server is at work for every connection."""
        if len(self.connections) >= self.settings.connections_max:
            self._make_room()
        self.connections[connection] = None

    def leave(self, connection: Connection) -> None:
        self.connections.pop(connection, None)

    def _make_room(self) -> None:
        ready = [connection for connection in self.connections if connection.may_make_room]
        if not ready:
            raise Refused(Code.OVERLOADED, "There are too many connections.")
        slowest = nsmallest(len(self.connections) // SHARE + 1, ready, key=_stalled_first)
        for n, connection in enumerate(slowest):
            if n and connection.pace.bytes:
                break  # who moves is spared as long as that is possible
            del self.connections[connection]
            connection.end(Ended.ROOM)

    # Memory

    def hold(self, connection: Connection, count: int) -> None:
        """`connection` keeps `count` bytes now. Raises Refused if that is too much for all, and
        nobody who is slower can make room."""
        more = count - connection.held_bytes
        if more > 0 and self.held_bytes + more > self.settings.pending_bytes_max:
            self._make_memory(connection, more)
        self.held_bytes += more
        connection.held_bytes = count

    def _make_memory(self, connection: Connection, more: int) -> None:
        bytes_max = self.settings.pending_bytes_max
        enough = bytes_max - bytes_max // SHARE - more
        holders = [each for each in self.connections if each.held_bytes and each.may_make_room]
        for slower in sorted(holders, key=_slowest_first):
            if slower.pace.bytes >= connection.pace.bytes or self.held_bytes <= enough:
                break
            slower.refuse(Refused(Code.OVERLOADED, "Others send faster, and memory is full."))
        if self.held_bytes + more > bytes_max:
            raise Refused(Code.OVERLOADED, "Too many bodies are under way; try again.")


def _stalled_first(connection: Connection) -> tuple[int, float]:
    """For a place it is enough to move at all: who is fast has no more right to it."""
    return min(connection.pace.bytes, PACE_BYTES), connection.waits_since


def _slowest_first(connection: Connection) -> tuple[int, float]:
    return connection.pace.bytes, connection.waits_since
