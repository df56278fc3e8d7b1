"""The rows that a pass has for one date, and what becomes of each of them."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.format import Counts, Footer
from compactor.lake.writer import one_chunk, prepare_columns, sort_order
from compactor.segments.reader import Rows, SetAside
from ingest.segment import SegmentName


class Day:
    """Positions of rows are those in `rows`; segments are named by their position in the pass."""

    def __init__(
        self, day: date, rows: Rows, positions: pa.Array, damaged: dict[int, list[SetAside]]
    ) -> None:
        self.date = day
        self.rows = rows
        self.positions = positions  # sorted as the part will be
        self.duplicates = positions.slice(0, 0)
        self.damaged = damaged  # by segment

    def is_empty(self) -> bool:
        return not len(self.positions) and not self.damaged

    def segments(self) -> set[int]:
        """Those that have lines of this date."""
        return set(pc.unique(self.rows.segment.take(self.positions)).to_pylist()) | set(
            self.damaged
        )

    def leave_out(self, segments: set[int]) -> None:
        """Drop what a part of this date holds already."""
        if segments:
            of = self.rows.segment.take(self.positions)
            inside = pc.is_in(of, pa.array(sorted(segments), pa.int32()))
            self.positions = self.positions.filter(pc.invert(inside))
            self.damaged = {n: lines for n, lines in self.damaged.items() if n not in segments}

    def set_duplicates(self, duplicates: pa.Array) -> None:
        if len(duplicates):
            self.duplicates = duplicates
            self.positions = self.positions.filter(pc.invert(pc.is_in(self.positions, duplicates)))

    def duplicate_lines(self) -> dict[int, list[int]]:
        """The line numbers of the duplicates, by segment."""
        lines = defaultdict(list)
        segments = self.rows.segment.take(self.duplicates).to_pylist()
        for segment, line in zip(
            segments, self.rows.line.take(self.duplicates).to_pylist(), strict=True
        ):
            lines[segment].append(line)
        return lines

    def footer(self, segments: Sequence[SegmentName], not_kept: int) -> Footer:
        """What the part has to say of its inputs."""
        rows = self._per_segment(self.positions)
        duplicates = self._per_segment(self.duplicates)
        counts = {}
        for n in sorted(rows.keys() | duplicates.keys() | self.damaged.keys()):
            set_aside = len(self.damaged.get(n, ()))
            total = rows[n] + duplicates[n] + set_aside
            counts[segments[n].id] = Counts(total, rows[n], duplicates[n], set_aside)
        sites = self.rows.table["site_id"].take(self.duplicates).to_pylist()
        return Footer(segments=counts, duplicates_by_site=dict(Counter(sites)), not_kept=not_kept)

    def _per_segment(self, positions: pa.Array) -> Counter[int]:
        counted = pc.value_counts(self.rows.segment.take(positions)).to_pylist()
        return Counter({pair["values"]: pair["counts"] for pair in counted})


def split_by_date(rows: Rows, segments: Sequence[SegmentName]) -> Iterator[Day]:
    """The days of a pass, first to last, each with its rows sorted.

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
    for day in sorted(positions.keys() | damaged.keys()):
        none = pa.array([], pa.uint64())
        yield Day(day, rows, positions.get(day, none), damaged.get(day, {}))


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
