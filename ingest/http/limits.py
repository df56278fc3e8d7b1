"""What the connections of a worker may take from it: places, time and memory."""

import asyncio
from typing import Protocol

from ingest.refusal import Refusal, Refused
from ingest.settings import Settings
from ingest.telemetry import Metrics

HEAD_BYTES_MAX = 16 * 1024  # request line and headers
HEADERS_MAX = 100
PIPELINE_MAX = 256  # requests of one connection that wait for their answers
LINGER_S = 2.0  # so that a client still sending can read why it is refused (RFC 9112, 9.6)
SWEEP_S = 0.5  # deadlines are kept this exactly
EVICT_SHARE = 16  # a full house makes room for one in so many at once


class Connection(Protocol):
    """What limits need to know of a connection."""

    waits_since: float  # when it last began to wait for its client

    @property
    def at_work(self) -> bool: ...
    def check_deadline(self, now: float) -> None: ...
    def evict(self) -> None: ...


class Limits:
    """Shared by all connections of a worker. One sweep looks at all their deadlines: a timer for
    each would cost more than the request that it guards."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time()  # as of the last sweep
        self.connections: set[Connection] = set()
        self.held_bytes = 0
        self._timer = self.loop.call_later(SWEEP_S, self._sweep)

    def close(self) -> None:
        self._timer.cancel()

    def _sweep(self) -> None:
        self._timer = self.loop.call_later(SWEEP_S, self._sweep)
        self.now = self.loop.time()
        self.metrics.connections[0] = len(self.connections)
        for connection in list(self.connections):
            connection.check_deadline(self.now)

    # Places

    def admit(self, connection: Connection) -> None:
        """Raises Refused only if every connection is at work."""
        if len(self.connections) >= self.settings.connections_max:
            self._make_room()
        self.connections.add(connection)

    def leave(self, connection: Connection) -> None:
        self.connections.discard(connection)

    def _make_room(self) -> None:
        waiting = sorted(
            (connection for connection in self.connections if not connection.at_work),
            key=lambda connection: connection.waits_since,
        )
        if not waiting:
            raise Refused(Refusal.OVERLOADED, "There are too many connections.")
        for connection in waiting[: len(self.connections) // EVICT_SHARE + 1]:
            self.connections.discard(connection)
            connection.evict()

    # Memory

    def hold(self, count: int) -> None:
        """Count bytes of a body that is kept until it is complete. Raises Refused."""
        if self.held_bytes + count > self.settings.pending_bytes_max:
            raise Refused(Refusal.OVERLOADED, "Too many bodies are under way; try again.")
        self.held_bytes += count

    def release(self, count: int) -> None:
        self.held_bytes -= count
