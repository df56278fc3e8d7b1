"""How fast a connection's client moves: what it sends of a request, and takes of its answers."""

import asyncio

from ingest.http.peer import unread_bytes

CREDIT_BYTES = 1024  # who is new is not slow yet


class Pace:
    def __init__(self, now: float) -> None:
        self.moved_bytes = CREDIT_BYTES  # since the last look
        self._moved_before = 0  # and between that and the one before
        self._unread_bytes = 0
        self.unread_since = now  # that long it has taken nothing, though there is something

    @property
    def bytes(self) -> int:
        return self.moved_bytes + self._moved_before

    def taken(self, now: float) -> None:
        """It has taken enough for us to write on."""
        self.unread_since = now

    def look_at(self, transport: asyncio.Transport, now: float) -> None:
        """A slow reader may take as long as it needs; one that takes nothing has a deadline."""
        unread = unread_bytes(transport)
        if not unread or unread < self._unread_bytes:
            self.unread_since = now
        self.moved_bytes += max(self._unread_bytes - unread, 0)
        self._unread_bytes = unread
        self._moved_before, self.moved_bytes = self.moved_bytes, 0
