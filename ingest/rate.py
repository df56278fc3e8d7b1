"""How much a client address may send: a token bucket for each (GCRA, ITU-T I.371), memory bounded.

A bucket is one number: the time at which it is full again. One that is full is not there, so who
sent nothing for a while is forgotten; and no address is kept, but Python's keyed hash of it, or of
its /64. This machine and its own networks are not limited: a proxy that INGEST_TRUSTED_PROXIES does
not name is one of these, and its visitors must not share one bucket.
"""

import math
import time
from collections.abc import Callable

from ingest.client import stranger
from ingest.dialects.native import BATCH_EVENTS_MAX
from ingest.refusal import Refusal, Refused

BUCKETS_MAX = 50_000  # in either generation; 13 MiB of both


class Rate:
    """Belongs to one thread."""

    def __init__(
        self,
        per_s: float,
        burst: int,
        buckets_max: int = BUCKETS_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Fixed for the life of the process
        self._interval_s = 1 / per_s
        self._burst_s = burst / per_s  # in which an empty bucket fills
        self._longest_s = (burst + BATCH_EVENTS_MAX) / per_s  # in which the emptiest one does
        self._buckets_max = buckets_max
        self._clock = clock

        # When each is full again. What was not used since two turns ago is forgotten: it is full,
        # unless more addresses came than there is room for
        self._young: dict[int, float] = {}
        self._old: dict[int, float] = {}
        self._turned = clock()

    def take(self, address: str) -> None:
        """For one event. Raises Refused when the bucket of this address is empty."""
        key = stranger(address)
        if key is None:
            return
        now = self._clock()
        wait_s = self._full_at(hash(key), now) + self._interval_s - now - self._burst_s
        if wait_s > 1e-9:
            raise Refused(
                Refusal.RATE_LIMITED,
                f"This address sends more than {1 / self._interval_s:g} events a second.",
                **{"retry-after": str(math.ceil(wait_s))},
            )
        self._fill(hash(key), now, 1)

    def take_more(self, address: str, count: int) -> None:
        """For the other events of a batch, which is taken whole: the next one waits for it."""
        key = stranger(address)
        if key is not None and count > 0:
            self._fill(hash(key), self._clock(), count)

    def _full_at(self, key: int, now: float) -> float:
        return max(self._young.get(key) or self._old.get(key, now), now)

    def _fill(self, key: int, now: float, count: int) -> None:
        if len(self._young) >= self._buckets_max or now - self._turned > self._longest_s:
            self._turned, self._old, self._young = now, self._young, {}
        self._young[key] = self._full_at(key, now) + count * self._interval_s
