"""What one question is asked of: parts and spool rows that together hold each event once."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from hashlib import blake2b
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.columns import SCHEMA
from compactor.lake.local import LocalStore as Lake
from report.snapshot.lake_listing import LakeListing
from report.snapshot.listed_part import ListedPart
from report.snapshot.pinned import Pinned
from report.snapshot.segment_rows import SPILL_SCHEMA, Spilled, Waiting
from report.snapshot.spool_tail import Live
from report.terms.period import Dates


@dataclass(frozen=True)
class Snapshot:
    """Never changes: parts do not, rows in memory do not, and files of spilled rows do not."""

    asked: Dates
    lake: Lake  # where the files of the parts are
    parts: list[ListedPart]  # of these dates
    waiting: list[Waiting]  # every segment of the spool, with
    covered: dict[str, set[date]]  # the dates of it that parts hold, by segment id
    live: pa.Table  # of SPILL_SCHEMA: rows in memory of the site and dates, but for what is covered
    spilled: list[Spilled]  # may have rows of the dates; of all sites, and covered ones too
    read: pa.Table  # of SCHEMA: rows of the site, all that those parts have that are not `unread`
    unread: list[ListedPart]
    foreign: dict[str, str]  # what lies in the lake and is no part, and why not, by path
    is_unique: bool = False  # nothing in `live` repeats what parts hold, or itself

    @property
    def cost_rows(self) -> int:
        """How many rows there are to look through, at most."""
        in_parts = sum(part.rows for part in self.parts)
        return in_parts + len(self.live) + sum(each.rows for each in self.spilled)

    @property
    def has_files(self) -> bool:
        """Or is all that there is in memory?"""
        return bool(self.unread or self.spilled)

    def paths(self, parts: Iterable[ListedPart]) -> list[str]:
        return [str(self.lake.path(each.part)) for each in parts]

    @cached_property
    def identity(self) -> bytes:
        """Two snapshots for one site and dates hold the same rows if they have this in common.

        A segment is only appended to, so the number of its rows says which they are.
        """
        parts = [each.part.path for each in self.parts]
        live = pc.value_counts(self.live["segment"]).to_pylist()
        spilled = [(each.segment, each.rows) for each in self.spilled]
        return blake2b(repr((parts, live, spilled)).encode(), digest_size=16).digest()

    @cached_property
    def dates(self) -> Dates:
        """From the first to the last UTC date of which there may be rows."""
        return Dates(min(self.days, default=None), max(self.days, default=None))

    @cached_property
    def days(self) -> list[date]:
        """Every UTC date of which there may be rows."""
        days = {part.date for part in self.parts} | self.live_days
        return sorted(day for day in days if day in self.asked)

    @cached_property
    def live_days(self) -> set[date]:
        """Every UTC date of which there may be rows that no part has."""
        days: set[date] = set(pc.unique(self.live["date"]).to_pylist())
        return days.union(*(each.dates for each in self.spilled))

    def of(self, dates: Dates) -> Self:
        """The same of fewer dates."""
        live = [
            self.live.filter(pc.equal(self.live["date"], day)) for day in self.days if day in dates
        ]
        return replace(
            self,
            asked=dates,
            parts=[part for part in self.parts if part.date in dates],
            unread=[part for part in self.unread if part.date in dates],
            read=self.read.filter(_is_in(self.read["timestamp"], dates)),
            live=pa.concat_tables([SPILL_SCHEMA.empty_table(), *live]),
            spilled=[each for each in self.spilled if any(day in dates for day in each.dates)],
        )

    def held_by(self, pinned: Pinned) -> Self:
        """The same with files that stay. Raises FileNotFoundError when one has gone."""
        if self.has_files:
            pinned.hold(self.parts)
        return replace(self, lake=pinned.lake, spilled=pinned.hold_spilled(self.spilled))

    def damaged(self, segment: Waiting) -> int:
        """Damaged lines that no part counts yet. They belong to the date it was opened on."""
        return 0 if segment.opened_on in self._held(segment) else segment.damaged

    def waits(self, segment: Waiting) -> bool:
        """Is there a line of it that no part counts?"""
        return self.damaged(segment) > 0 or not segment.dates <= self._held(segment)

    def _held(self, segment: Waiting) -> set[date]:
        return self.covered.get(segment.id, set())


class Snapshots:
    """Takes them, of one data folder. May be used by several threads."""

    def __init__(self, lake: Lake, live: Live, listing: LakeListing) -> None:
        self._lake = lake
        self._live = live
        self._listing = listing

    def take(self, dates: Dates, site: str | None = None, pinned: Pinned | None = None) -> Snapshot:
        """With its files `pinned`, or as they are in the lake, from where they may go away.

        Raises FileNotFoundError when some go away meanwhile: take another then.

        The spool first: a segment that is no longer listed was released before, so its parts
        are there. A segment that a part names is left out for the date of that part.
        """
        waiting = self._live.refresh()
        parts = self._listing.of(dates, pinned.hold) if pinned else self._listing.of(dates)
        lake = pinned.lake if pinned else self._lake
        covered = self._listing.covered(parts, [segment.id for segment in waiting], lake)
        live = [rows(each, site, dates, covered.get(each.id, ())) for each in waiting]
        spilled = [each for segment in waiting for each in segment.spilled]
        spilled = [each for each in spilled if any(day in dates for day in each.dates)]
        return Snapshot(
            dates,
            lake,
            parts,
            waiting,
            covered,
            pa.concat_tables(live) if live else SPILL_SCHEMA.empty_table(),
            pinned.hold_spilled(spilled) if pinned else spilled,
            SCHEMA.empty_table(),
            parts,
            dict(self._listing.foreign),
        )


def _is_in(instants: pa.ChunkedArray, dates: Dates) -> pa.ChunkedArray:
    days = pc.unique(pc.cast(instants, pa.date32())).to_pylist()
    wanted = pa.array([day for day in days if day in dates], pa.date32())
    return pc.is_in(pc.cast(instants, pa.date32()), wanted)


def rows(
    segment: Waiting, site: str | None, dates: Dates, covered: Collection[date] = ()
) -> pa.Table:
    """Rows of SPILL_SCHEMA that are in memory, of the site, or of all, and of the dates."""
    found = list(segment.chunks)
    if site is not None:
        found = [chunk.filter(pc.equal(chunk["site_id"], site)) for chunk in found]
    days = {day for day in segment.dates if day in dates and day not in covered}
    if len(days) < len(segment.dates):
        wanted = pa.array(sorted(days), pa.date32())
        found = [chunk.filter(pc.is_in(chunk["date"], wanted)) for chunk in found]
    found = [chunk for chunk in found if chunk.num_rows]
    if not found:
        return SPILL_SCHEMA.empty_table()
    table = pa.concat_tables(found)
    id = pa.repeat(pa.scalar(segment.id), table.num_rows)
    return table.append_column(SPILL_SCHEMA.field("segment"), id)
