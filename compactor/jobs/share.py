"""What a pass has for one part: rows of some dates, and what becomes of each of them."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.footer import Counts, Footer
from compactor.lake.writer import SORTED_BY, one_chunk, prepare_columns, sort_order
from compactor.segments.reader import Rows, SetAside
from ingest.segment import SegmentName

_NONE = pa.array([], pa.uint64())


@dataclass(frozen=True, slots=True)
class Day:
    """What a pass has of one date."""

    positions: pa.Array  # of rows, sorted as a part is
    damaged: dict[int, list[SetAside]]  # by segment, as are those that are no events

    def segments(self, rows: Rows) -> set[int]:
        return {*pc.unique(rows.segment.take(self.positions)).to_pylist(), *self.damaged}

    def without(self, segments: Collection[int], rows: Rows) -> "Day":
        if not segments:
            return self
        of = rows.segment.take(self.positions)
        inside = pc.is_in(of, pa.array(sorted(segments), pa.int32()))
        damaged = {n: lines for n, lines in self.damaged.items() if n not in segments}
        return Day(self.positions.filter(pc.invert(inside)), damaged)

    def __bool__(self) -> bool:
        return bool(len(self.positions) or self.damaged)


class Share:
    """Positions of rows are those in `rows`; segments are named by their position in the pass."""

    def __init__(self, rows: Rows, days: dict[date, Day]) -> None:
        """`days`: of one year, first to last, each of which has something."""
        self.rows = rows
        self.days = days
        self.positions = _merged(rows, [day.positions for day in days.values()])
        self.duplicates = _NONE

    @property
    def first(self) -> date:
        return next(iter(self.days))

    @property
    def last(self) -> date:
        return next(reversed(self.days))

    def set_duplicates(self, duplicates: pa.Array) -> None:
        if len(duplicates):
            self.duplicates = duplicates
            self.positions = self.positions.filter(pc.invert(pc.is_in(self.positions, duplicates)))

    def duplicate_lines(self) -> dict[date, dict[int, list[int]]]:
        """The line numbers of the duplicates, by date and segment."""
        found: dict[date, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        columns = (
            self._dates(self.duplicates),
            self.rows.segment.take(self.duplicates),
            self.rows.line.take(self.duplicates),
        )
        for day, segment, line in zip(*(each.to_pylist() for each in columns), strict=True):
            found[day][segment].append(line)
        return found

    def footer(self, segments: Sequence[SegmentName], not_kept: Counter[date]) -> Footer:
        """What the part has to say of its inputs."""
        rows, duplicates = (
            _counts(self._dates(positions)) for positions in (self.positions, self.duplicates)
        )
        dates = {}
        for day, held in self.days.items():
            damaged = sum(map(len, held.damaged.values()))
            dates[day] = Counts(rows[day], duplicates[day], damaged, not_kept=not_kept[day])
        named = set().union(*(day.segments(self.rows) for day in self.days.values()))
        sites = self.rows.table["site_id"].take(self.duplicates).to_pylist()
        return Footer(
            dates=dates,
            segments=sorted(segments[n].id for n in named),
            duplicates_by_site=dict(Counter(sites)),
        )

    def _dates(self, positions: pa.Array) -> pa.Array:
        return one_chunk(pc.cast(self.rows.table["timestamp"].take(positions), pa.date32()))


def _counts(values: pa.Array) -> Counter[date]:
    return Counter({pair["values"]: pair["counts"] for pair in pc.value_counts(values).to_pylist()})


def _merged(rows: Rows, days: list[pa.Array]) -> pa.Array:
    """The positions of all of them, sorted as a part is."""
    if len(days) == 1:
        return days[0]
    positions = pa.concat_arrays(days)
    return positions.take(sort_order(rows.table.select(SORTED_BY).take(positions)))


def days_of(rows: Rows, segments: Sequence[SegmentName]) -> tuple[Rows, dict[date, Day]]:
    """The rows, cheaper to gather, and what there is of each date, first to last.

    A damaged line has no date: it belongs to the day on which its segment was opened.
    """
    rows = replace(
        rows,
        table=prepare_columns(rows.table),
        segment=one_chunk(rows.segment),
        line=one_chunk(rows.line),
    )
    damaged: dict[date, dict[int, list[SetAside]]] = defaultdict(dict)
    for n, lines in rows.damaged.items():
        damaged[segments[n].opened_on][n] = lines
    positions = _positions_by_date(rows.table)
    days = sorted(positions.keys() | damaged.keys())
    return rows, {day: Day(positions.get(day, _NONE), damaged.get(day, {})) for day in days}


def _positions_by_date(table: pa.Table) -> dict[date, pa.Array]:
    if not table.num_rows:
        return {}
    order = sort_order(table)
    days = one_chunk(pc.cast(table["timestamp"], pa.date32())).take(order)
    earliest, latest = pc.min_max(days).values()
    if earliest == latest:
        return {earliest.as_py(): order}
    by_day = pc.array_sort_indices(days)  # stable, so each day keeps the order of its rows
    order = order.take(by_day)
    runs = pc.run_end_encode(days.take(by_day))
    starts = [0, *runs.run_ends.to_pylist()[:-1]]
    ends = runs.run_ends.to_pylist()
    return {
        day: order.slice(start, end - start)
        for day, start, end in zip(runs.values.to_pylist(), starts, ends, strict=True)
    }
