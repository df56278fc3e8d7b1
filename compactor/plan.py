"""Decides what to compact and what to merge. Reads no clock and touches no disk."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ingest.segment import SegmentName

LINE_BYTES_TYPICAL = 250  # to compare bytes of the spool with rows of the lake
PASS_SEGMENTS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class ClosedSegment:
    """A closed segment."""

    name: SegmentName
    bytes: int
    closed_ms: int  # Unix time


@dataclass(frozen=True, slots=True)
class Thresholds:
    pass_bytes_max: int  # a pass takes no more than this, unless one segment alone has more
    age_s_max: float  # nothing waits longer than this
    share_min: float = 0.25  # of what the lake holds of these dates


def is_worth_a_pass(
    waiting: Sequence[ClosedSegment], rows_held: int, now_ms: int, thresholds: Thresholds
) -> bool:
    """Is it time? Few large parts are better than many small ones, but nothing should wait long.

    `rows_held`: rows that the lake has of the dates on which the segments were opened.
    """
    if not waiting:
        return False
    bytes_waiting = sum(segment.bytes for segment in waiting)
    oldest_s = (now_ms - min(segment.closed_ms for segment in waiting)) / 1000
    return (
        bytes_waiting >= thresholds.pass_bytes_max
        or bytes_waiting >= rows_held * LINE_BYTES_TYPICAL * thresholds.share_min
        or oldest_s >= thresholds.age_s_max
    )


def plan(waiting: Sequence[ClosedSegment], thresholds: Thresholds) -> list[list[SegmentName]]:
    """Passes over whole segments, oldest first, each within pass_bytes_max."""
    passes: list[list[SegmentName]] = []
    room = 0
    for segment in sorted(waiting, key=lambda segment: segment.name):
        if not passes or segment.bytes > room or len(passes[-1]) == PASS_SEGMENTS_MAX:
            passes.append([])
            room = thresholds.pass_bytes_max
        passes[-1].append(segment.name)
        room -= segment.bytes
    return passes


def first_open(now: datetime, close_after_h: float) -> date:
    """The first UTC date that is not closed yet: one is closed so long after its end."""
    return (now - timedelta(hours=close_after_h)).date()


def shares(
    dates: Sequence[date], held_back: AbstractSet[date], first_open: date
) -> list[list[date]]:
    """Which dates of a pass, ascending and of one year, become a part together.

    Of the dates that are held back there is none. No part has one of them between its own: it would
    say that it has the rows of that date, too. A date that is open has a part of its own, and can
    settle as soon as it is closed.
    """
    found: list[list[date]] = [[]]
    for day in dates:
        if day in held_back or day >= first_open:
            found.append([])
        if day not in held_back:
            found[-1].append(day)
    return [each for each in found if each]
