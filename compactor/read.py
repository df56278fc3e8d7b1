"""Reads closed segments into rows; a line that is not an event costs that line alone.

DuckDB parses a whole pass at once, four times faster than line by line, but it is lenient: unknown
fields, blank lines and wrong types pass silently. So its result is believed only if the parsed
values, written out again as ingest writes them, come to exactly the bytes that the files have.
Otherwise each segment is tried alone, and one that fails is read line by line with ingest's schema.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake import SCHEMA, to_table
from ingest.event import StoredEvent, decode_line

OBJECT_BYTES_MAX = 16 * 1024 * 1024
_TIMES = ("timestamp", "received_at")
_TEXTS = ("site_id", "event_type", "path", "user_id", "event_id", "referrer")
_YEAR_1_US, _YEAR_10000_US = -62_135_596_800_000_000, 253_402_300_800_000_000


@dataclass(frozen=True, slots=True)
class SetAside:
    """A line that gets no row in the lake, and why. Its bytes go to quarantine."""

    line: int  # from 1
    reason: str
    bytes: bytes


@dataclass(frozen=True, slots=True)
class Rows:
    """What some segments hold, in the order of segments and lines."""

    table: pa.Table  # of the lake's SCHEMA
    segment: pa.ChunkedArray  # int32: position of each row's segment among those read
    line: pa.ChunkedArray  # int32: the line it stood on, from 1
    damaged: dict[int, list[SetAside]] = field(default_factory=dict)  # by position of the segment


class _Suspicious(Exception):
    """Not wholly made of lines as ingest writes them."""


def connect() -> duckdb.DuckDBPyConnection:
    """What the compactor parses and joins with: one core and little memory are left to it."""
    database = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "512MiB"})
    database.execute("SET TimeZone = 'UTC'")  # otherwise the columns carry the machine's zone
    return database


def read_segments(database: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> Rows:
    """Raises FileNotFoundError."""
    contents = [path.read_bytes() for path in paths]
    try:
        return _read_at_once(database, paths, contents)
    except _Suspicious:
        if len(paths) == 1:
            return _read_line_by_line(contents[0])
    return _concatenate([read_segments(database, [path]) for path in paths])


def _concatenate(parts: Sequence[Rows]) -> Rows:
    return Rows(
        pa.concat_tables(part.table for part in parts),
        _chunks([_constant(n, part.table.num_rows) for n, part in enumerate(parts)]),
        pa.chunked_array([chunk for part in parts for chunk in part.line.chunks], pa.int32()),
        {n: part.damaged[0] for n, part in enumerate(parts) if part.damaged},
    )


def _constant(value: int, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.int32()), count)


def _chunks(arrays: list[pa.Array]) -> pa.ChunkedArray:
    return pa.chunked_array(arrays, pa.int32())


# Line by line


def _read_line_by_line(content: bytes) -> Rows:
    events: list[StoredEvent] = []
    lines: list[int] = []
    damaged: list[SetAside] = []
    for number, line in enumerate(split_lines(content), start=1):
        try:
            events.append(decode_line(line))
            lines.append(number)
        except (ValueError, RecursionError) as error:
            damaged.append(SetAside(number, str(error), line))
    return Rows(
        to_table(events),
        _chunks([_constant(0, len(events))]),
        _chunks([pa.array(lines, pa.int32())]),
        {0: damaged} if damaged else {},
    )


def split_lines(content: bytes) -> list[bytes]:
    """The lines of a segment; the last one may lack its newline."""
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


# All at once


def _read_at_once(
    database: duckdb.DuckDBPyConnection, paths: Sequence[Path], contents: Sequence[bytes]
) -> Rows:
    table = _parse(database, paths)
    if table.num_rows != sum(content.count(b"\n") for content in contents):
        raise _Suspicious
    if _bytes_as_written(table) != sum(map(len, contents)):
        raise _Suspicious
    counts = [content.count(b"\n") for content in contents]
    return Rows(
        table,
        _chunks([_constant(n, count) for n, count in enumerate(counts)]),
        _chunks([pa.array(range(1, count + 1), pa.int32()) for count in counts]),
    )


def _parse(database: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> pa.Table:
    columns = dict.fromkeys(_TEXTS, "VARCHAR")
    columns |= dict.fromkeys(_TIMES, "TIMESTAMPTZ") | {"props": "JSON"}
    named = ", ".join(f"{name}: '{columns[name]}'" for name in SCHEMA.names)
    # sql(), not execute(): the latter copies all rows once more on their way to Arrow
    rows = database.sql(
        f"""FROM read_json($paths, format = 'newline_delimited', records = 'true',
            auto_detect = false, ignore_errors = false, maximum_object_size = {OBJECT_BYTES_MAX},
            columns = {{{named}}})""",
        params={"paths": [str(path) for path in paths]},
    )
    try:
        return rows.to_arrow_table().cast(SCHEMA)
    except (duckdb.Error, ValueError) as error:  # ValueError: a required field is not there
        raise _Suspicious from error


def _bytes_as_written(table: pa.Table) -> int:
    """How many bytes ingest would write for these rows. About 0.01 µs a row."""
    rows: int = table.num_rows
    total = rows * (len("{}\n") - 1)  # the first member has no comma before it
    for name in _TEXTS:
        total += _present(table[name]) * len(f',"{name}":""') + _length(table[name])
        total += _escapes(table[name])
    total += _present(table["props"]) * len(',"props":') + _length(table["props"])
    for name in _TIMES:
        total += rows * len(f',"{name}":"2026-11-22T08:00:00.123456Z"')
        total -= _whole_seconds(table[name]) * len(".123456")
    return total


def _present(column: pa.ChunkedArray) -> int:
    return int(len(column) - column.null_count)


def _length(column: pa.ChunkedArray) -> int:
    return int(pc.sum(pc.binary_length(column)).as_py() or 0)


def _escapes(column: pa.ChunkedArray) -> int:
    """Bytes that JSON's escapes add; these fields have no control characters, so two are left."""
    if not pc.any(pc.match_substring_regex(column, r'["\\]')).as_py():
        return 0
    return int(pc.sum(pc.count_substring_regex(column, r'["\\]')).as_py() or 0)


def _whole_seconds(column: pa.ChunkedArray) -> int:
    """How many have no fraction, and so are written without one."""
    us = column.cast(pa.int64())
    if not len(us):
        return 0
    earliest, latest = (value.as_py() for value in pc.min_max(us).values())
    if earliest < _YEAR_1_US or latest >= _YEAR_10000_US:  # 'infinity' and BC parse too
        raise _Suspicious
    seconds = pc.divide(us, 1_000_000)
    return int(pc.sum(pc.equal(pc.multiply(seconds, 1_000_000), us)).as_py() or 0)
