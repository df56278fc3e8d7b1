"""Reads closed segments into rows; a line that is not an event costs that line alone.

DuckDB parses a whole pass at once, four times faster than line by line, but it is lenient: unknown
fields, blank lines, other types and other spellings pass silently. So its result is believed only
if every value is one that ingest could have written, and if the rows, written out again as ingest
writes them, come to exactly the bytes, the quotation marks and the lines that the files have.
Otherwise each segment is tried alone, and one that fails is read line by line with ingest's schema.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_type_hints

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.columns import INSTANT, SCHEMA, encode_object, names_of, to_table
from ingest.event import COLUMNS, Role, StoredEvent, decode_line

OBJECT_BYTES_MAX = 16 * 1024 * 1024
PIECE_BYTES = 256 * 1024
_TEXTS = [column for column in COLUMNS if column.is_text]
_CLOSED = [column for column in COLUMNS if column.among or column.pattern]
_NUMBERS, _TIMES, _OBJECTS = map(names_of, (Role.NUMBER, Role.INSTANT, Role.OBJECT))
_RANGES = {column.name: (column.least, column.most) for column in COLUMNS}
_YEAR_1_US = -62_135_596_800_000_000  # the earliest that ingest.event can hold
_HINTS = get_type_hints(StoredEvent, include_extras=True)
_DECODE_OBJECT = {name: msgspec.json.Decoder(_HINTS[name]).decode for name in _OBJECTS}


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


TEMP_BYTES_MAX = 8 * 1024**3


def connect(
    temp: Path | None = None, temp_bytes_max: int = TEMP_BYTES_MAX
) -> duckdb.DuckDBPyConnection:
    """What the compactor parses and joins with: one core and little memory are left to it.

    `temp`: a folder of our own for what does not fit into that memory; without one nothing spills.
    """
    database = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "512MiB"})
    database.execute("SET TimeZone = 'UTC'")  # otherwise the columns carry the machine's zone
    database.execute("SET temp_directory = $temp", {"temp": str(temp or "")})
    if temp:
        database.execute(f"SET max_temp_directory_size = '{temp_bytes_max} bytes'")
    return database


def read_segments(database: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> Rows:
    """Raises FileNotFoundError."""
    try:
        return _read_at_once(database, paths)
    except _Suspicious:
        if len(paths) == 1:
            return _read_line_by_line(paths[0].read_bytes())
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


def _read_at_once(database: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> Rows:
    texts = [_measure(path) for path in paths]
    if not all(text.whole for text in texts):
        raise _Suspicious  # or a blank line could make up for it
    table = _parse(database, paths)
    if table.num_rows != sum(text.lines for text in texts):
        raise _Suspicious
    for name in _OBJECTS:
        table = _with_objects(table, name)
    _check_lengths(table)
    _check_closed(table)
    _check_bytes(table, texts)
    return Rows(
        _with_numbers(_with_times(table)).cast(SCHEMA),
        _chunks([_constant(n, text.lines) for n, text in enumerate(texts)]),
        _chunks([pa.array(np.arange(1, text.lines + 1, dtype=np.int32)) for text in texts]),
    )


@dataclass(frozen=True, slots=True)
class _Text:
    """A file, counted."""

    bytes: int
    lines: int
    quotes: int
    whole: bool  # does it end with a newline?


def _measure(path: Path) -> _Text:
    """By pieces that the processor's cache holds."""
    size = lines = quotes = 0
    last = b""
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            array = np.frombuffer(piece, np.uint8)
            size += len(piece)
            lines += int(np.count_nonzero(array == ord("\n")))
            quotes += int(np.count_nonzero(array == ord('"')))
            last = piece[-1:]
    return _Text(size, lines, quotes, last == b"\n")


def _parse(database: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> pa.Table:
    # as VARCHAR a number and the same one as a text would be alike
    columns = dict.fromkeys(SCHEMA.names, "VARCHAR") | dict.fromkeys(_OBJECTS + _NUMBERS, "JSON")
    named = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    # sql(), not execute(): the latter copies all rows once more on their way to Arrow
    rows = database.sql(
        f"""FROM read_json($paths, format = 'newline_delimited', records = 'true',
            auto_detect = false, ignore_errors = false, maximum_object_size = {OBJECT_BYTES_MAX},
            columns = {{{named}}})""",
        params={"paths": [str(path) for path in paths]},
    )
    try:
        table = rows.to_arrow_table()
    except duckdb.Error as error:
        raise _Suspicious from error
    if any(table[name].null_count for name in SCHEMA.names if not SCHEMA.field(name).nullable):
        raise _Suspicious
    return table


def _with_times(table: pa.Table) -> pa.Table:
    """Times as ingest writes them, and no other spelling of them."""
    for name in _TIMES:
        lengths = pc.binary_length(table[name])
        known = pc.or_(pc.equal(lengths, 20), pc.equal(lengths, 27))
        if not _all(known) or not _all(pc.ends_with(table[name], "Z")):
            raise _Suspicious
        try:
            instants = table[name].cast(INSTANT)
        except pa.ArrowInvalid as error:
            raise _Suspicious from error
        earliest = pc.min(instants.cast(pa.int64())).as_py()
        if earliest is not None and earliest < _YEAR_1_US:
            raise _Suspicious
        table = table.set_column(table.schema.get_field_index(name), name, instants)
    return table


def _with_numbers(table: pa.Table) -> pa.Table:
    """Whole numbers as ingest writes them, and no other spelling of them."""
    for name in _NUMBERS:
        try:
            numbers = table[name].cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise _Suspicious from error
        if not _all(pc.equal(numbers.cast(pa.string()), table[name])):
            raise _Suspicious
        least, most = _RANGES[name]
        found = pc.min_max(numbers)
        if found["min"].is_valid and (
            (least is not None and found["min"].as_py() < least)
            or (most is not None and found["max"].as_py() > most)
        ):
            raise _Suspicious
        table = table.set_column(table.schema.get_field_index(name), name, numbers)
    return table


def _with_objects(table: pa.Table, name: str) -> pa.Table:
    """Flat objects, spelled as ingest spells them: DuckDB writes some numbers otherwise."""
    coded = pc.dictionary_encode(table[name]).unify_dictionaries()
    if not coded.num_chunks:
        return table
    texts = coded.chunk(0).dictionary.to_pylist()
    try:
        spelled = [None if text is None else _spell(name, text) for text in texts]
    except ValueError as error:
        raise _Suspicious from error
    if spelled == texts:
        return table
    spelled_array = pa.array(spelled, pa.string())
    chunks = [spelled_array.take(chunk.indices) for chunk in coded.chunks]
    column = pa.chunked_array(chunks, pa.string())
    return table.set_column(table.schema.get_field_index(name), name, column)


def _spell(name: str, text: str) -> str:
    if not text.startswith("{"):
        raise ValueError(f"{name} is not an object")
    return encode_object(_DECODE_OBJECT[name](text)).decode()


def _check_lengths(table: pa.Table) -> None:
    for column in _TEXTS:
        texts = table[column.name]
        least, most = (each.as_py() for each in pc.min_max(pc.binary_length(texts)).values())
        if least is None:
            continue
        if least < column.shortest:
            raise _Suspicious
        if most > column.longest and pc.max(pc.utf8_length(texts)).as_py() > column.longest:
            raise _Suspicious


def _check_closed(table: pa.Table) -> None:
    """Only texts that there can be, where the event's schema has a list or a pattern of them."""
    for column in _CLOSED:
        texts = table[column.name]
        if texts.null_count == len(texts):
            continue
        for text in pc.unique(texts).drop_null().to_pylist():
            if column.among and text not in column.among:
                raise _Suspicious
            if column.pattern and not re.search(column.pattern, text):
                raise _Suspicious


def _check_bytes(table: pa.Table, texts: Sequence[_Text]) -> None:
    """The rows, written as ingest writes them, have as many bytes as there are, and quotes.

    The bytes alone would let one difference make up for another: 12 read as "12" for two blanks.
    """
    found = sum(text.bytes for text in texts), sum(text.quotes for text in texts)
    size, quotes = _as_written(table)
    if size != found[0]:
        escaped, marks = _escapes(table)
        size, quotes = size + escaped, quotes + marks
    if (size, quotes) != found:
        raise _Suspicious


def _as_written(table: pa.Table) -> tuple[int, int]:
    """Bytes and quotation marks, as if there were no escapes in texts."""
    rows: int = table.num_rows
    size = rows * (len("{}\n") - 1)  # the first member has no comma before it
    quotes = 0
    for name in SCHEMA.names:
        present = _present(table[name])
        size += present * len(f',"{name}":') + _length(table[name])
        quotes += present * 2
        if name in _OBJECTS:
            quotes += _sum(pc.count_substring(table[name], '"'))
        elif name not in _NUMBERS:
            size += present * 2
            quotes += present * 2
    return size, quotes


def _escapes(table: pa.Table) -> tuple[int, int]:
    """What JSON's escapes add; ingest takes no control characters here, so two are left."""
    quotes = sum(_sum(pc.count_substring(table[text.name], '"')) for text in _TEXTS)
    slashes = sum(_sum(pc.count_substring(table[text.name], "\\")) for text in _TEXTS)
    return quotes + slashes, quotes


def _present(column: pa.ChunkedArray) -> int:
    return int(len(column) - column.null_count)


def _length(column: pa.ChunkedArray) -> int:
    return _sum(pc.binary_length(column))


def _sum(numbers: pa.Array | pa.ChunkedArray) -> int:
    return int(pc.sum(numbers).as_py() or 0)


def _all(column: pa.ChunkedArray) -> bool:
    return pc.all(column).as_py() is not False
