"""Decides which segments the next passes compact. Reads no clock and touches no disk."""

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.segment import SegmentName

LINE_BYTES_TYPICAL = 250  # to compare bytes of the spool with rows of the lake


@dataclass(frozen=True, slots=True)
class Waiting:
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
    waiting: Sequence[Waiting], rows_held: int, now_ms: int, thresholds: Thresholds
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


def plan(waiting: Sequence[Waiting], thresholds: Thresholds) -> list[list[SegmentName]]:
    """Passes over whole segments, oldest first, each within pass_bytes_max."""
    passes: list[list[SegmentName]] = []
    room = 0
    for segment in sorted(waiting, key=lambda segment: segment.name):
        if not passes or segment.bytes > room:
            passes.append([])
            room = thresholds.pass_bytes_max
        passes[-1].append(segment.name)
        room -= segment.bytes
    return passes
