"""A time zone as a list of stretches with one offset each, so that DuckDB only has to add.

All instants are microseconds since 1970 in UTC. Python's zoneinfo is the one source of offsets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
PROBE_US = 6 * HOUR_US  # no zone has changed its offset twice in this time since 1970

_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time, its end excluded, in which the zone's clock is `offset` ahead of UTC."""

    start: int
    end: int
    offset: int


def stretches(zone: str, start: int, end: int) -> list[Stretch]:
    """From `start` to `end`, oldest first, without gaps."""
    found: list[Stretch] = []
    for year in range(utc_date(start).year, utc_date(end - 1).year + 1):
        for piece in _of_year(zone, year):
            a, b = max(start, piece.start), min(end, piece.end)
            if found and found[-1].offset == piece.offset and a < b:
                found[-1] = Stretch(found[-1].start, b, piece.offset)
            elif a < b:
                found.append(Stretch(a, b, piece.offset))
    return found


def midnight(day: date) -> int:
    """The instant at which a UTC date starts."""
    return (day.toordinal() - _EPOCH) * DAY_US


def utc_date(instant: int) -> date:
    return date.fromordinal(_EPOCH + instant // DAY_US)


def to_datetime(instant: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)


def to_instant(at: datetime) -> int:
    """Of a time that says its zone."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def instant(at: datetime) -> str:
    """RFC 3339 in UTC, with microseconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def local_time(zone: str, instant: int) -> datetime:
    return to_datetime(instant).astimezone(ZoneInfo(zone))


@lru_cache(maxsize=4096)
def _of_year(zone: str, year: int) -> tuple[Stretch, ...]:
    start, end = midnight(date(year, 1, 1)), midnight(date(year + 1, 1, 1))
    if zone == "UTC":
        return (Stretch(start, end, 0),)

    def offset_at(instant: int) -> int:
        offset = local_time(zone, instant).utcoffset()
        assert offset is not None
        return offset // timedelta(microseconds=1)

    edges = [start]
    for a, b in pairwise([*range(start, end, PROBE_US), end]):
        if offset_at(a) != offset_at(b):
            edges.append(_change(offset_at, a, b))
    return tuple(Stretch(a, b, offset_at(a)) for a, b in pairwise([*edges, end]) if a < b)


def _change(offset_at: Callable[[int], int], before: int, after: int) -> int:
    """When the offset becomes that of `after`; offsets change on whole seconds."""
    old = offset_at(before)
    while after - before > SECOND_US:
        middle = (before + after) // (2 * SECOND_US) * SECOND_US
        if offset_at(middle) == old:
            before = middle
        else:
            after = middle
    return after
