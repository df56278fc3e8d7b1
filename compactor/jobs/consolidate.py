"""Parts of a closed date become one, or one for every four million rows."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from typing import BinaryIO

import msgspec

from compactor.lake.format import Counts, Footer, Part
from compactor.lake.listing import Lake
from compactor.lake.reader import PartReader, merge, sample_of
from compactor.lake.runs import fold
from compactor.lake.store import Fill
from compactor.lake.writer import write_part
from ingest.segment import SegmentName


def consolidate(
    lake: Lake,
    day: date,
    groups: Sequence[Sequence[Part]],
    present: Collection[SegmentName],
    next_name: Callable[[], str],
    check: Callable[[], None],
) -> list[Part]:
    """Merge each group of parts into a new one; the date's other parts stay as they are.

    `present`: segments that the spool has, and no others will it have again. Needs the lake's turn.
    Raises CannotExchange, Busy, UnreadablePart, and whatever `check` raises.
    """
    merged = [part for group in groups for part in group]
    keys = {part: lake.footer(part).segments.keys() for part in lake.parts(day)}
    new = []
    for group in groups:
        elsewhere = {key for part, theirs in keys.items() if part not in group for key in theirs}
        footer = merge_footers(group, [lake.footer(part) for part in group])
        folded = fold(footer.segments, present, elsewhere)
        footer = msgspec.structs.replace(footer, segments=folded)
        new.append((Part(day, next_name()), _fill(lake, group, footer, check)))
    lake.store.replace(day, merged, new)
    return [part for part, _ in new]


def _fill(lake: Lake, group: Sequence[Part], footer: Footer, check: Callable[[], None]) -> Fill:
    def fill(file: BinaryIO) -> None:
        largest = max(group, key=lake.store.size)
        with ExitStack() as stack:
            readers = [stack.enter_context(PartReader(lake.store.source(part))) for part in group]
            write_part(file, merge(readers, check), sample_of(lake.store.source(largest)), footer)

    return fill


def merge_footers(parts: Sequence[Part], footers: Sequence[Footer]) -> Footer:
    """What a part says that holds the rows of all of these. No segment is in two of them."""
    segments: dict[str, Counts] = {}
    for footer in footers:
        assert not segments.keys() & footer.segments.keys(), "a segment's rows are there twice"
        segments |= footer.segments
    return Footer(
        segments=segments,
        duplicates_by_site=_sum(footer.duplicates_by_site for footer in footers),
        erased_by_site=_sum(footer.erased_by_site for footer in footers),
        supersedes=[part.name for part in parts],
        not_kept=sum(footer.not_kept for footer in footers),
    )


def _sum(counts: Iterator[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)
