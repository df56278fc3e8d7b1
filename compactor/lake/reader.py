"""Reads parts again, row group by row group, and merges several into one sorted run of rows.

Only the two columns to sort by are ever whole in memory; of the others, one batch a part.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compactor.lake.columns import READ, SCHEMA, completed
from compactor.lake.format import naming
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


class PartReader:
    """The rows of one part, in their order. A context manager."""

    def __init__(self, path: Path) -> None:
        """Raises UnreadablePart, and so does every read of it."""
        self._path = path
        with naming(path):
            self._file = _open(path)
        self.num_rows: int = self._file.metadata.num_rows
        self.columns: list[str] = self._file.schema.names
        self._batches = self.batches()
        self._rest = READ.empty_table()

    def __enter__(self) -> "PartReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def batches(
        self, columns: Sequence[str] = SCHEMA.names, site_id: str | None = None
    ) -> Iterator[pa.Table]:
        """All rows; with a site, only row groups that may have rows of it."""
        batches = self._file.iter_batches(
            BATCH_ROWS,
            [n for n in range(self._file.num_row_groups) if self._may_have(n, site_id)],
            columns=[name for name in columns if name in self.columns],
            use_threads=False,
        )
        schema = pa.schema(READ.field(name) for name in columns)
        while True:
            with naming(self._path):
                batch = next(batches, None)
            if batch is None:
                return
            yield completed(batch, schema)

    def _may_have(self, group: int, site_id: str | None) -> bool:
        column = self._file.metadata.row_group(group).column(self.columns.index("site_id"))
        statistics = column.statistics
        if site_id is None or statistics is None or not statistics.has_min_max:
            return True
        return bool(statistics.min <= site_id <= statistics.max)

    def next(self, count: int) -> pa.Table:
        """The next `count` rows."""
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


def merge(readers: Sequence[PartReader], check: Callable[[], None]) -> Iterator[pa.Table]:
    """All rows, sorted, a row group at a time. `check` is called between them and may raise."""
    keys = pa.concat_tables(
        [batch for reader in readers for batch in reader.batches(SORTED_BY)]
        or [READ.empty_table().select(SORTED_BY)]
    )
    order = sort_order(prepare_columns(keys))
    del keys
    owner = one_chunk(
        pa.chunked_array(
            [
                pa.repeat(pa.scalar(n, pa.int32()), reader.num_rows)
                for n, reader in enumerate(readers)
            ],
            pa.int32(),
        )
    )
    for start in range(0, len(order), ROW_GROUP_ROWS):
        check()
        yield _gather(readers, owner.take(order.slice(start, ROW_GROUP_ROWS)))


def _gather(readers: Sequence[PartReader], owners: pa.Array) -> pa.Table:
    """The next rows of several sorted parts; `owners` says of each row which part has it next.

    Each part is sorted as the whole is, so it is read from its front to its end.
    """
    counts = {pair["values"]: pair["counts"] for pair in pc.value_counts(owners).to_pylist()}
    pieces = pa.concat_tables(readers[n].next(counts[n]) for n in sorted(counts))
    by_owner = pc.array_sort_indices(owners)  # stable: where each row of `pieces` goes to
    return take_rows(prepare_columns(pieces), pc.array_sort_indices(by_owner))


def sample_of(path: Path) -> pa.Table:
    """Some neighbouring rows of a part."""
    with naming(path), _open(path) as file:
        groups = file.metadata.num_row_groups
        if not groups:
            return READ.empty_table()
        return prepare_columns(completed(file.read_row_group(groups // 2), READ))[:SAMPLE_ROWS]
