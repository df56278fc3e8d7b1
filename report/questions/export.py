"""The raw events as a stream of bytes: some UTC dates after others, and no more than it sends.

Its snapshot is pinned before the first byte is sent. So an export is what there was when it was
asked for, and no consolidation and no retention can break it off.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from compactor.lake.columns import SCHEMA
from report.http.responses import FORMULA
from report.snapshot.events import events
from report.snapshot.snapshot import Snapshot
from report.terms.period import Dates
from report.terms.robots import Bots
from report.terms.selection import Selection

BATCH_ROWS = 16_384
ROW_GROUP_ROWS = 122_880
SORTED_ROWS_MAX = 65_536  # dates with no more rows are asked for together; a date with more, alone
_TIMES = ('"timestamp"', "received_at")


RowsOfDates = Mapping[date, int]  # how many, of each date that has some
Ask = Callable[[str], Iterator[pa.RecordBatch]]


class Export(Selection, frozen=True, kw_only=True):
    format: Literal["ndjson", "csv", "parquet"] = "ndjson"

    def type_unless_given(self) -> str:
        return ""  # every type

    def bots_unless_given(self) -> Bots:
        return "include"  # it is what is stored


def chunks(
    cursor: duckdb.DuckDBPyConnection, snapshot: Snapshot, rows: RowsOfDates, asked: Export
) -> Iterator[bytes]:
    """The bytes of the export. For any thread, but one at a time."""

    def ask(query: str) -> Iterator[pa.RecordBatch]:
        return _batches(cursor, snapshot, rows, asked, query)

    match asked.format:
        case "ndjson":
            return _ndjson(ask)
        case "csv":
            return _csv(ask)
        case "parquet":
            return _parquet(ask)


def _batches(
    cursor: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    rows: RowsOfDates,
    asked: Export,
    query: str,
) -> Iterator[pa.RecordBatch]:
    """By date; within a date by time, unless it has very many rows."""
    for dates, count in _together(rows):
        selected = events(snapshot.of(dates), asked)
        order = ' ORDER BY "timestamp"' if count <= SORTED_ROWS_MAX else ""
        yield from selected.stream(cursor, query + order, BATCH_ROWS)


def _together(rows: RowsOfDates) -> Iterator[tuple[Dates, int]]:
    """Dates in their order, and how many rows they have."""
    first = last = None
    total = 0
    for day in sorted(rows):
        if first and total + rows[day] > SORTED_ROWS_MAX:
            yield Dates(first, last), total
            first, total = None, 0
        first, last, total = first or day, day, total + rows[day]
    if first:
        yield Dates(first, last), total


def _ndjson(ask: Ask) -> Iterator[bytes]:
    for batch in ask(f"SELECT {_line()} FROM events"):
        yield _bytes_of(batch.column(0))


def _line() -> str:
    """The SQL for a line as ingest writes it, absent fields left out."""
    texts = {name: f"to_json({name})::VARCHAR" for name in SCHEMA.names}
    texts["props"] = "props"
    for name in _TIMES:
        texts[name.strip('"')] = f"to_json({_instant(name)})::VARCHAR"
    members = [f"""coalesce(',"{name}":' || {text}, '')""" for name, text in texts.items()]
    return f"'{{' || substr({' || '.join(members)}, 2) || '}}' || chr(10)"


def _instant(name: str) -> str:
    """The SQL for RFC 3339."""
    return f"strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ')"


def _bytes_of(texts: pa.StringArray) -> bytes:
    """All texts of an Arrow array, one after the other: they lie in memory like that."""
    _, offsets, data = texts.buffers()
    if data is None:
        return b""
    wide = pa.types.is_large_string(texts.type)
    of = memoryview(offsets).cast("q" if wide else "i")
    return bytes(memoryview(data)[of[texts.offset] : of[texts.offset + len(texts)]])


def _csv(ask: Ask) -> Iterator[bytes]:
    told = [f"{_instant(name)} AS {name}" for name in _TIMES]
    told += [f"{_no_formula(field.name)} AS {field.name}" for field in SCHEMA if _is_text(field)]
    query = f"SELECT * REPLACE ({', '.join(told)}) FROM events"
    yield (",".join(SCHEMA.names) + "\r\n").encode()
    options = pyarrow.csv.WriteOptions(include_header=False)
    for batch in ask(query):
        sink = io.BytesIO()
        pyarrow.csv.write_csv(batch, sink, options)
        yield sink.getvalue()


def _is_text(field: pa.Field) -> bool:
    return bool(pa.types.is_string(field.type))


def _no_formula(name: str) -> str:
    """The SQL for a text that no spreadsheet runs, see report.http.responses."""
    first = ", ".join(f"chr({ord(each)})" for each in FORMULA)
    return f"if(left({name}, 1) IN ({first}), chr(39) || {name}, {name})"


def _parquet(ask: Ask) -> Iterator[bytes]:
    sink = Sink()
    with pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
        for rows in _row_groups(ask("SELECT * FROM events")):
            writer.write_table(rows)
            yield sink.taken()
    yield sink.taken()


def _row_groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(each.num_rows for each in waiting) >= ROW_GROUP_ROWS:
            yield pa.Table.from_batches(waiting).cast(SCHEMA)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting).cast(SCHEMA)


class Sink(io.RawIOBase):
    """Where a Parquet file is written to; what is there already can be taken away."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
