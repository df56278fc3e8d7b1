"""Reads parts again, row group by row group, and merges several into one sorted run of rows.

Only the two columns to sort by are ever whole in memory; of the others, one batch a part.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compactor.lake.columns import DATE, READ, STORED, completed
from compactor.lake.footer import naming
from compactor.lake.writer import (
    CODED,
    ROW_GROUP_ROWS,
    SAMPLE_ROWS,
    SORTED_BY,
    one_chunk,
    prepare_columns,
    sort_order,
    take_rows,
)

BATCH_ROWS = 16_384
FRONT_ROWS_MAX = 16 * BATCH_ROWS  # of all parts that are merged


@dataclass(frozen=True, slots=True)
class Only:
    """Rows of these dates, and of sites from the first to the last; None: of all."""

    dates: tuple[date, date] | None = None
    sites: tuple[str, str] | None = None

    def bounds(self) -> Iterator[tuple[str, Any, Any]]:
        """Columns with the least and the greatest value."""
        if self.dates is not None:
            yield (DATE.name, *self.dates)
        if self.sites is not None:
            yield ("site_id", *self.sites)

    def names(self) -> set[str]:
        """What has to be read to tell which rows they are: an older part has no date."""
        return {name for name, *_ in self.bounds()} | ({"timestamp"} if self.dates else set())

    def of(self, rows: pa.Table) -> pa.Table:
        for name, least, most in self.bounds():
            inside = pc.and_(pc.greater_equal(rows[name], least), pc.less_equal(rows[name], most))
            rows = rows.filter(inside)
        return rows


ALL = Only()


class PartReader:
    """The rows of one part, in their order. A context manager."""

    def __init__(self, path: Path, only: Only = ALL, batch_rows: int = BATCH_ROWS) -> None:
        """Raises UnreadablePart, and so does every read of it."""
        self._path = path
        self._only = only
        self._batch_rows = batch_rows
        with naming(path):
            self._file = _open(path)
        self.columns: list[str] = self._file.schema.names
        if all(self._has_only(n, only) for n in range(self._file.num_row_groups)):
            self._only = ALL

    def __enter__(self) -> "PartReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def batches(
        self, columns: Sequence[str] = STORED.names, only: Only | None = None
    ) -> Iterator[pa.Table]:
        """The rows, only from row groups that may have some."""
        only = only or self._only
        schema = pa.schema(READ.field(name) for name in columns)
        asked = {*columns, *only.names(), *({"timestamp"} if DATE.name in columns else ())}
        wanted = pa.schema(field for field in READ if field.name in asked)
        batches = self._file.iter_batches(
            self._batch_rows,
            [n for n in range(self._file.num_row_groups) if self._may_have(n, only)],
            columns=[name for name in self.columns if name in asked],
            use_threads=False,
        )
        while True:
            with naming(self._path):
                batch = next(batches, None)
            if batch is None:
                return
            yield only.of(completed(batch, wanted)).select(schema.names)

    def _may_have(self, group: int, only: Only) -> bool:
        return all(
            ends is None or not (ends[1] < least or most < ends[0])
            for name, least, most in only.bounds()
            for ends in [self._ends(group, name)]
        )

    def _has_only(self, group: int, only: Only) -> bool:
        return all(
            ends is not None and least <= ends[0] and ends[1] <= most
            for name, least, most in only.bounds()
            for ends in [self._ends(group, name)]
        )

    def _ends(self, group: int, name: str) -> tuple[Any, Any] | None:
        """The least and the greatest value, if it is told."""
        if name not in self.columns:
            return None
        column = self._file.metadata.row_group(group).column(self.columns.index(name))
        if column.statistics is None or not column.statistics.has_min_max:
            return None
        return column.statistics.min, column.statistics.max


class _Front:
    """The rows of a part that are next."""

    def __init__(self, batches: Iterator[pa.Table], schema: pa.Schema) -> None:
        self._batches = batches
        self._rest = schema.empty_table()

    def take(self, count: int) -> pa.Table:
        pieces = [self._rest]
        while sum(piece.num_rows for piece in pieces) < count:
            pieces.append(next(self._batches))
        rows = pa.concat_tables(pieces)
        self._rest = rows.slice(count)
        return rows.slice(0, count)


def _open(path: Path) -> pq.ParquetFile:
    metadata = pq.read_metadata(path)
    return pq.ParquetFile(
        path,
        metadata=metadata,
        read_dictionary=[name for name in CODED if name in metadata.schema.names],
        page_checksum_verification=True,
        pre_buffer=False,
    )


class Merged:
    """The rows of several parts as one sorted run. A context manager.

    A row's position is that among the rows of the first part, then of the second, and so on.
    """

    def __init__(self, paths: Sequence[Path], only: Only = ALL) -> None:
        """Raises UnreadablePart, and so does every read of it."""
        batch_rows = min(BATCH_ROWS, FRONT_ROWS_MAX // max(1, len(paths)))
        with ExitStack() as stack:
            readers = (PartReader(path, only, batch_rows) for path in paths)
            self._readers = [stack.enter_context(reader) for reader in readers]
            keys = [self._read(reader, SORTED_BY) for reader in self._readers]
            self.counts = [each.num_rows for each in keys]
            self.order = sort_order(prepare_columns(pa.concat_tables(keys)))
            self._stack = stack.pop_all()

    def __enter__(self) -> "Merged":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __len__(self) -> int:
        return len(self.order)

    def read(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """All rows, by their positions."""
        return (batch for reader in self._readers for batch in reader.batches(columns))

    def groups(
        self, columns: Sequence[str], check: Callable[[], None]
    ) -> Iterator[tuple[pa.Array, pa.Table]]:
        """All rows, sorted, a row group at a time, with their positions.

        `check` is called between them and may raise.
        """
        schema = pa.schema(READ.field(name) for name in columns)
        fronts = [_Front(reader.batches(columns), schema) for reader in self._readers]
        owner = one_chunk(
            pa.chunked_array(
                [pa.repeat(pa.scalar(n, pa.int32()), count) for n, count in enumerate(self.counts)],
                pa.int32(),
            )
        )
        for start in range(0, len(self.order), ROW_GROUP_ROWS):
            check()
            positions = self.order.slice(start, ROW_GROUP_ROWS)
            yield positions, _gather(fronts, owner.take(positions))

    def _read(self, reader: PartReader, columns: Sequence[str]) -> pa.Table:
        schema = pa.schema(READ.field(name) for name in columns)
        return pa.concat_tables([schema.empty_table(), *reader.batches(columns)])


def _gather(fronts: Sequence[_Front], owners: pa.Array) -> pa.Table:
    """The next rows of several sorted parts; `owners` says of each row which part has it next.

    Each part is sorted as the whole is, so it is read from its front to its end.
    """
    counts = {pair["values"]: pair["counts"] for pair in pc.value_counts(owners).to_pylist()}
    pieces = pa.concat_tables(fronts[n].take(counts[n]) for n in sorted(counts))
    by_owner = pc.array_sort_indices(owners)  # stable: where each row of `pieces` goes to
    return take_rows(prepare_columns(pieces), pc.array_sort_indices(by_owner))


def sample_of(path: Path) -> pa.Table:
    """Some neighbouring rows of a part."""
    with naming(path), _open(path) as file:
        groups = file.metadata.num_row_groups
        if not groups:
            return READ.empty_table()
        return prepare_columns(completed(file.read_row_group(groups // 2), READ))[:SAMPLE_ROWS]
