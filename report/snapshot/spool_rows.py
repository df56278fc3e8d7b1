"""The rows of the spool, of all its segments: in memory while there is room, then in files of ours.

They lie in a few tables, however many segments there are: a question filters each table once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compactor.lake.columns import SCHEMA, to_table
from ingest.event import StoredEvent
from report.snapshot.spill_folder import SpillFolder
from report.terms.period import Dates

ROWS = (
    SCHEMA.append(pa.field("date", pa.date32()))
    .append(pa.field("line", pa.int32()))
    .append(pa.field("segment", pa.string()))
)
ROW_GROUP_ROWS = 122_880
TABLE_BYTES = 12_288  # what Arrow needs for a table of these columns, beside its rows


@dataclass(frozen=True, slots=True)
class Spilled:
    """A Parquet file of ROWS, of some segments, which may be gone by now."""

    path: Path
    bytes: int
    rows: int
    segments: frozenset[str]
    dates: frozenset[date]


@dataclass(frozen=True, slots=True)
class Held:
    """A table in memory, and what it takes: to ask for that is not cheap."""

    table: pa.Table
    bytes: int

    @classmethod
    def of(cls, table: pa.Table) -> "Held":
        return cls(table, TABLE_BYTES + int(table.nbytes))


class SpoolRows:
    """For one thread at a time; what it gives to others never changes."""

    def __init__(self, memory_bytes_max: int, spill: SpillFolder) -> None:
        # Fixed for the life of the process
        self._memory_bytes_max = memory_bytes_max
        self._spill = spill

        self._held: list[Held] = []  # each has more than twice the rows of the next one
        self.spilled: tuple[Spilled, ...] = ()

    @property
    def tables(self) -> tuple[pa.Table, ...]:
        """Of ROWS."""
        return tuple(each.table for each in self._held)

    @property
    def memory_bytes(self) -> int:
        return sum(each.bytes for each in self._held)

    def add(self, rows: pa.Table) -> None:
        """Raises Problem when there is too much: it is kept, and no more should be added."""
        self._held = _merged([*self._held, Held.of(rows)])
        self.make_room()

    def make_room(self) -> None:
        """Raises Problem when there is none."""
        while self._held and self.memory_bytes > self._memory_bytes_max:
            self.spilled = (*self.spilled, self._to_file(self._held[0].table))
            del self._held[0]

    def remove(self, gone: Collection[str], present: AbstractSet[str]) -> None:
        """Of segments. A file goes with the last of those that it has rows of."""
        ids = pa.array(sorted(gone), pa.string())
        left = [each.filter(pc.invert(pc.is_in(each["segment"], ids))) for each in self.tables]
        self._held = _merged([Held.of(each.combine_chunks()) for each in left if len(each)])
        self._remove_files([each for each in self.spilled if not each.segments & present])

    def clear(self) -> None:
        self._held = []
        self._remove_files(self.spilled)

    def _remove_files(self, gone: Iterable[Spilled]) -> None:
        for each in gone:
            each.path.unlink(missing_ok=True)  # who asks for it now takes a new look
            self._spill.took(-each.bytes)
        self.spilled = tuple(each for each in self.spilled if each not in gone)

    def _to_file(self, table: pa.Table) -> Spilled:
        """By site, so that a question about one reads little of it. Raises Problem, OSError."""
        path = self._spill.place(int(table.nbytes))
        table = table.sort_by([("site_id", "ascending"), ("timestamp", "ascending")])
        try:
            pq.write_table(table, path, compression="lz4", row_group_size=ROW_GROUP_ROWS)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        size = path.stat().st_size
        self._spill.took(size)
        segments = frozenset(pc.unique(table["segment"]).to_pylist())
        return Spilled(path, size, len(table), segments, dates_of(table))


def to_rows(events: list[StoredEvent], lines: list[int], segment: str) -> pa.Table:
    """A table of ROWS."""
    table = to_table(events)
    dates = pc.cast(table["timestamp"], pa.date32())
    ids = pa.repeat(pa.scalar(segment), len(events))
    return pa.table([*table.columns, dates, pa.array(lines, pa.int32()), ids], schema=ROWS)


def dates_of(table: pa.Table) -> frozenset[date]:
    return frozenset(pc.unique(table["date"]).to_pylist())


def spilled_within(spilled: Iterable[Spilled], dates: Dates) -> list[Spilled]:
    """Those that have rows of these dates."""
    return [each for each in spilled if any(day in dates for day in each.dates)]


def rows_of(
    tables: Sequence[pa.Table],
    site: str | None,
    dates: Dates,
    covered: Mapping[str, AbstractSet[date]],
) -> pa.Table:
    """Those of the site, or of all, and of the dates, but for the covered dates of segments."""
    found = list(tables)
    if site is not None:
        found = [each.filter(pc.equal(each["site_id"], site)) for each in found]
    found = [_without(rows_within(each, dates), covered) for each in found if len(each)]
    return pa.concat_tables([ROWS.empty_table(), *found])


def rows_within(table: pa.Table, dates: Dates) -> pa.Table:
    """Those of these dates."""
    if dates.first:
        table = table.filter(pc.greater_equal(table["date"], dates.first))
    if dates.last:
        table = table.filter(pc.less_equal(table["date"], dates.last))
    return table


def _without(table: pa.Table, covered: Mapping[str, AbstractSet[date]]) -> pa.Table:
    if not covered:
        return table
    ids = {id: n for n, id in enumerate(covered)}
    pairs = [ids[id] << 32 | (day - date(1970, 1, 1)).days for id in covered for day in covered[id]]
    segment = pc.cast(pc.index_in(table["segment"], pa.array(list(ids), pa.string())), pa.int64())
    day = pc.cast(pc.cast(table["date"], pa.int32()), pa.int64())
    pair = pc.bit_wise_or(pc.shift_left(segment, 32), day)  # null: no part has rows of the segment
    return table.filter(pc.invert(pc.is_in(pair, pa.array(pairs, pa.int64()))))


def _merged(held: list[Held]) -> list[Held]:
    """Fewer and larger: each is more than twice the next, so a row is copied log(n) times."""
    merged: list[Held] = []
    for each in held:
        together, rows = [each.table], len(each.table)
        while merged and len(merged[-1].table) <= 2 * rows:
            together.append(merged.pop().table)
            rows += len(together[-1])
        if len(together) > 1:
            each = Held.of(pa.concat_tables(together[::-1]).combine_chunks())
        merged.append(each)
    return merged
