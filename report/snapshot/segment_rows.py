"""What one segment of the spool holds: rows in memory, or in files of ours if they are many."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compactor.lake.columns import SCHEMA, to_table
from ingest.event import StoredEvent

LIVE_SCHEMA = SCHEMA.append(pa.field("date", pa.date32())).append(pa.field("line", pa.int32()))
SPILL_SCHEMA = LIVE_SCHEMA.append(pa.field("segment", pa.string()))
ROW_GROUP_ROWS = 122_880
CHUNK_BYTES = 8_192  # what Arrow needs for a table of these columns, beside its rows


@dataclass(frozen=True, slots=True)
class Spilled:
    """Rows of one segment in a Parquet file of SPILL_SCHEMA."""

    segment: str
    path: Path
    bytes: int  # of the file
    rows: int
    dates: frozenset[date]


@dataclass(frozen=True, slots=True)
class Waiting:
    """One segment as of one moment. Immutable, so whoever has it may use it for long."""

    id: str
    opened_on: date
    bytes: int = 0  # of whole lines
    lines: int = 0
    damaged: int = 0  # lines that the compactor will put into quarantine
    chunks: tuple[pa.Table, ...] = ()  # of LIVE_SCHEMA
    spilled: tuple[Spilled, ...] = ()
    dates: frozenset[date] = frozenset()  # of all rows

    @property
    def memory_bytes(self) -> int:
        return sum(CHUNK_BYTES + int(chunk.nbytes) for chunk in self.chunks)


def to_rows(events: list[StoredEvent], lines: list[int]) -> pa.Table:
    """A table of LIVE_SCHEMA."""
    table = to_table(events)
    dates = pc.cast(table["timestamp"], pa.date32())
    columns = [*table.columns, dates, pa.array(lines, pa.int32())]
    return pa.table(columns, schema=LIVE_SCHEMA)


def dates_of(table: pa.Table) -> frozenset[date]:
    return frozenset(pc.unique(table["date"]).to_pylist())


def merged(chunks: list[pa.Table]) -> list[pa.Table]:
    """Fewer and larger: each is more than twice the next, so a row is copied log(n) times."""
    while len(chunks) > 1 and chunks[-2].num_rows <= 2 * chunks[-1].num_rows:
        chunks[-2:] = [pa.concat_tables(chunks[-2:]).combine_chunks()]
    return chunks


def spill(segment_id: str, chunks: tuple[pa.Table, ...], path: Path) -> Spilled:
    """Write the rows to a file, by site, so that a question about one site reads little of it.

    Raises OSError, and leaves no file then.
    """
    table = pa.concat_tables(chunks)
    table = table.append_column("segment", pa.repeat(pa.scalar(segment_id), table.num_rows))
    table = table.sort_by([("site_id", "ascending"), ("timestamp", "ascending")])
    try:
        pq.write_table(table, path, compression="lz4", row_group_size=ROW_GROUP_ROWS)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Spilled(segment_id, path, path.stat().st_size, table.num_rows, dates_of(table))
