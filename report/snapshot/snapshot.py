"""What one question is asked of: parts and spool rows that together hold each event once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from hashlib import blake2b
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.columns import STORED
from compactor.lake.store import Store
from report.snapshot.lake_listing import LakeListing
from report.snapshot.listed_part import ListedPart, Source
from report.snapshot.pinned import Pinned
from report.snapshot.segment_tail import SeenSegment
from report.snapshot.spool_rows import Spilled, rows_of, rows_within, spilled_within
from report.snapshot.spool_tail import SpoolTail
from report.terms.period import Dates


@dataclass(frozen=True)
class Snapshot:
    """Never changes: parts do not, rows in memory do not, and files of spilled rows do not."""

    asked: Dates
    source: Source
    foreign: dict[str, str]  # what lies in the lake now and is no part, and why not, by path

    parts: list[ListedPart]  # that may have rows of these dates and of the site; and of others
    parts_to_read: list[ListedPart]  # those of them whose rows are not among
    cached_rows: pa.Table  # of STORED, of the site and dates, by time

    segments: tuple[SeenSegment, ...]  # of the spool, every one
    covered: dict[str, set[date]]  # the dates that parts hold of it, by its id
    spool_rows: pa.Table  # of spool_rows.ROWS, of the site and dates, and not covered
    spilled: list[Spilled]  # may have more of the dates; of all sites, and covered ones too
    has_no_repetitions: bool = False  # nothing in `spool_rows` repeats what parts hold, or itself

    @property
    def cost_rows(self) -> int:
        """How many rows there are to look through, at most."""
        in_parts = sum(part.rows.within(self.asked) for part in self.parts)
        return in_parts + len(self.spool_rows) + sum(each.rows for each in self.spilled)

    @property
    def has_files(self) -> bool:
        """Or is all that there is in memory?"""
        return bool(self.parts_to_read or self.spilled)

    def paths(self, parts: Iterable[ListedPart]) -> list[str]:
        return [str(self.source(each.part)) for each in parts]

    @cached_property
    def identity(self) -> bytes:
        """Two snapshots for one site and dates hold the same rows if they have this in common.

        A segment is only appended to, so the number of its rows says which they are.
        """
        parts = [each.part.path for each in self.parts]
        in_memory = pc.value_counts(self.spool_rows["segment"]).to_pylist()
        in_files: set[str] = set().union(*(each.segments for each in self.spilled))
        lines = [(each.id, each.lines) for each in self.segments if each.id in in_files]
        return blake2b(repr((parts, in_memory, lines)).encode(), digest_size=16).digest()

    @cached_property
    def dates(self) -> Dates:
        """From the first to the last UTC date of which there may be rows."""
        spans = [span for part in self.parts if (span := part.rows.span(self.asked))]
        first = [*self.spool_days, *(span.first for span in spans if span.first)]
        last = [*self.spool_days, *(span.last for span in spans if span.last)]
        return Dates(min(first, default=None), max(last, default=None))

    @cached_property
    def spool_days(self) -> set[date]:
        """Every UTC date of these of which there may be rows that no part has."""
        days: set[date] = set(pc.unique(self.spool_rows["date"]).to_pylist())
        days = days.union(*(each.dates for each in self.spilled))
        return {day for day in days if day in self.asked}

    def of(self, dates: Dates) -> Self:
        """The same of these dates, some of those that were asked."""
        return replace(
            self,
            asked=dates,
            parts=[part for part in self.parts if part.meets(dates)],
            parts_to_read=[part for part in self.parts_to_read if part.meets(dates)],
            cached_rows=rows_within(self.cached_rows, dates),
            spool_rows=rows_within(self.spool_rows, dates),
            spilled=spilled_within(self.spilled, dates),
        )

    def held_by(self, pinned: Pinned) -> Self:
        """The same with files that stay. Raises FileNotFoundError when one has gone."""
        if self.has_files:
            pinned.hold(self.parts)
        return replace(self, source=pinned.source, spilled=pinned.hold_spilled(self.spilled))

    def not_to_count(self) -> Iterator[tuple[str, date]]:
        """Segments and dates of rows that may be in files: parts hold them."""
        for id, days in self.covered.items():
            yield from ((id, day) for day in days)
        present = {segment.id for segment in self.segments}
        for each in self.spilled:
            yield from ((id, day) for id in each.segments - present for day in each.dates)

    def damaged(self, segment: SeenSegment) -> int:
        """Damaged lines that no part counts yet. They belong to the date it was opened on."""
        return 0 if segment.opened_on in self._held(segment) else segment.damaged

    def is_awaited(self, segment: SeenSegment) -> bool:
        """Is there a line of it that no part counts?"""
        return self.damaged(segment) > 0 or not segment.dates <= self._held(segment)

    def _held(self, segment: SeenSegment) -> set[date]:
        return self.covered.get(segment.id, set())


class Snapshots:
    """Takes them, of one data folder. May be used by several threads."""

    def __init__(self, store: Store, spool: SpoolTail, listing: LakeListing) -> None:
        self._store = store
        self._spool = spool
        self._listing = listing

    def take(self, dates: Dates, site: str | None = None, pinned: Pinned | None = None) -> Snapshot:
        """With its files `pinned`, or as they are in the lake, from where they may go away.

        Raises FileNotFoundError when some go away meanwhile: take another then.

        The spool first: a segment that is no longer listed was released before, so its parts
        are there. A segment that a part names is left out for the dates of that part.
        """
        seen = self._spool.refresh()
        parts = self._listing.of(dates, pinned.hold) if pinned else self._listing.of(dates)
        source = pinned.source if pinned else self._store.source
        covered = self._listing.covered(parts, seen.segments, source)
        spilled = spilled_within(seen.spilled, dates)
        if site is not None:
            parts = [part for part in parts if part.may_have(site)]
        return Snapshot(
            asked=dates,
            source=source,
            foreign=self._listing.foreign,
            parts=parts,
            parts_to_read=parts,
            cached_rows=STORED.empty_table(),
            segments=seen.segments,
            covered=covered,
            spool_rows=rows_of(seen.tables, site, dates, covered),
            spilled=pinned.hold_spilled(spilled) if pinned else spilled,
        )
