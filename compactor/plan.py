"""Decides what to compact and what to merge. Reads no clock and touches no disk."""

from collections.abc import Sequence
from dataclasses import dataclass

from compactor.lake.format import Part
from ingest.segment import SegmentName

LINE_BYTES_TYPICAL = 250  # to compare bytes of the spool with rows of the lake
PASS_SEGMENTS_MAX = 1_000
PART_ROWS_MAX = 4_000_000
PART_ROWS_LARGE = PART_ROWS_MAX * 3 // 4  # is left as it is
MERGE_PARTS_MAX = 250  # all of them are open at once
LATE_PARTS_MAX = 16
LATE_MS_MAX = 24 * 3600 * 1000


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


@dataclass(frozen=True, slots=True)
class DatePart:
    """A part of a closed date."""

    part: Part
    rows: int


def plan_merges(held: Sequence[DatePart], now_ms: int) -> list[list[Part]]:
    """Which parts of a closed date become one, group by group; none when it is not worth it.

    A date is written anew when what came after its largest part is a quarter of that, or many
    parts, or a day old: so a trickle of late events costs one rewrite a day, and no more files.
    """
    small = sorted((h for h in held if h.rows < PART_ROWS_LARGE), key=lambda h: h.part)
    if not _is_worth_merging(small, now_ms):
        return []
    groups: list[list[DatePart]] = [[]]
    for one in small:
        if (
            sum(h.rows for h in groups[-1]) + one.rows > PART_ROWS_MAX
            or len(groups[-1]) == MERGE_PARTS_MAX
        ):
            groups.append([])
        groups[-1].append(one)
    return [[h.part for h in group] for group in groups if len(group) > 1]


def _is_worth_merging(small: Sequence[DatePart], now_ms: int) -> bool:
    if len(small) < 2:
        return False
    *late, largest = sorted(small, key=lambda h: h.rows)
    return (
        len(late) >= LATE_PARTS_MAX
        or sum(h.rows for h in late) * 4 >= largest.rows
        or now_ms - min(h.part.created_ms for h in late) >= LATE_MS_MAX
    )
