"""Visitors without cookies: an identity that lasts a UTC day and leads back to nobody.

    user_id := "d:" 16 hex digits of BLAKE2b (RFC 7693), keyed with the day's salt, over
               site_id NUL client address NUL user agent
    salt    := 32 random bytes in DATA_DIR/visitors/YYYY-MM-DD.salt, mode 0600

All workers share the salt of the UTC day on which an event was received. When that day is over
it is removed, and with it the only way to tell whether two days, two sites or an address and an
identity belong together. Addresses are neither stored nor logged. By its "d:" such an identity is
told from one that a sender gave: it cannot come back on another day.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from hashlib import blake2b
from pathlib import Path

from ingest.context import agent
from ingest.refusal import Refusal, Refused
from ingest.secret import DIGEST_BYTES, secrets_folder, shared

DAILY = "d:"
SWEEP_INTERVAL_S = 60


class Visitors:
    """Identifies the visitors of one UTC day after another. Belongs to one thread."""

    def __init__(self, data_dir: str | Path) -> None:
        # Fixed for the life of the process
        self._folder = secrets_folder(data_dir)

        # Replaced when the day turns
        self._day: date | None = None
        self._keyed = blake2b()

    def sender(self, address: str, user_agent: bytes, day: date) -> Callable[[str], str]:
        """Gives the sender of a request its user_id on a site, by site_id. Raises Refused."""
        if day != self._day:
            self._turn(day)
        keyed = self._keyed
        tail = b"\0%b\0%b" % (address.encode(), user_agent)

        def identify(site_id: str) -> str:
            state = keyed.copy()
            state.update(site_id.encode() + tail)
            return DAILY + state.hexdigest()

        return identify

    def check(self) -> None:
        """Raises Refused if no visitor can be identified now."""
        self.sender("", b"", datetime.now(UTC).date())

    def forget_before(self, day: date) -> None:
        """Destroy the salts of the days before, in memory and on disk; forget agents, too."""
        if self._day and self._day < day:
            self._day, self._keyed = None, blake2b()
            agent.forget()
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._folder):
                if name < day.isoformat():
                    (self._folder / name).unlink(missing_ok=True)

    async def sweep(self) -> None:
        """Let no salt outlive its day by more than a minute. Runs until it is cancelled."""
        while True:
            with contextlib.suppress(OSError):  # who sends the next event is told
                self.forget_before(datetime.now(UTC).date())
            await asyncio.sleep(SWEEP_INTERVAL_S)

    def _turn(self, day: date) -> None:
        try:
            self.forget_before(day)
            salt = shared(self._folder / f"{day.isoformat()}.salt")
        except OSError as error:
            raise Refused(
                Refusal.SPOOL_UNAVAILABLE, f"There is no salt for visitors: {error.strerror}."
            ) from None
        self._keyed = blake2b(digest_size=DIGEST_BYTES, key=salt)
        self._day = day
