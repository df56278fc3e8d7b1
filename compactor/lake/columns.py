"""The columns of the lake: the event's and what is derived of them, as Arrow and Parquet have them.

    SCHEMA        those of an event
    DATE          the UTC date of its timestamp
    VISIT_SCHEMA  the visit that it belongs to, see visits: null in recent parts
    STORED        all of these: what every part has that is written now
    READ          the same in memory: a text of few values comes as codes
    by role       which columns are encoded, pruned and proved in which way

A part of an older format lacks the columns that came later. It is read with what it has; the
others are null, but for the date.
"""

from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ingest.event import COLUMNS, Column, Role, StoredEvent

INSTANT = pa.timestamp("us", tz="UTC")
YEARS_SINCE = 3  # the format in which a folder is a year, and a part has all of STORED
FORMAT_VERSION = max(YEARS_SINCE, *(column.since for column in COLUMNS))

_TYPES = {
    Role.CODE: pa.string(),
    Role.TEXT: pa.string(),
    Role.RANDOM: pa.string(),
    Role.NUMBER: pa.int64(),
    Role.INSTANT: INSTANT,
    Role.OBJECT: pa.string(),  # JSON text
}
assert _TYPES.keys() == set(Role), "a role without a type"
_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.date32(): "DATE",
    INSTANT: "TIMESTAMPTZ",
}
DATE = pa.field("date", pa.date32(), nullable=False)
VISIT_SUMMARY = pa.schema(
    [
        pa.field("visit_views", pa.int32()),
        pa.field("visit_events", pa.int32()),
        pa.field("visit_ms", pa.int32()),  # a day has 86,400,000
        pa.field("visit_engaged_ms", pa.int64()),
        pa.field("visit_exit", pa.string()),
    ]
)
VISIT_SCHEMA = pa.schema([pa.field("visit", pa.int32()), *VISIT_SUMMARY])


def names_of(*roles: Role) -> list[str]:
    return [column.name for column in COLUMNS if column.role in roles]


def names_in(version: int) -> list[str]:
    """The columns of a part of this format, in their order."""
    names = [column.name for column in COLUMNS if column.since <= version]
    return [*names, *DERIVED.names] if version >= YEARS_SINCE else names


def _schema(types: dict[Role, pa.DataType]) -> pa.Schema:
    return pa.schema(
        [pa.field(each.name, types[each.role], nullable=not each.required) for each in COLUMNS]
    )


SCHEMA = _schema(_TYPES)
DERIVED = pa.schema([DATE, *VISIT_SCHEMA])
STORED = pa.schema([*SCHEMA, *DERIVED])
READ = pa.schema([*_schema(_TYPES | {Role.CODE: pa.dictionary(pa.int32(), pa.string())}), *DERIVED])


def completed(rows: pa.Table | pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    """The columns of the schema; those that the rows have not are null, but for the date."""
    present = set(rows.schema.names)

    def column(field: pa.Field) -> pa.Array | pa.ChunkedArray:
        if field.name in present:
            return rows[field.name]
        if field.name == DATE.name:
            return pc.cast(rows["timestamp"], pa.date32())
        return pa.nulls(rows.num_rows, field.type)

    return pa.table([column(field) for field in schema], names=schema.names).cast(schema)


def null(name: str) -> str:
    """The SQL for a column that older parts have not: null in every row, but for the date."""
    value = "timezone('UTC', \"timestamp\")" if name == DATE.name else "NULL"
    return f'{value}::{_SQL_TYPES[STORED.field(name).type]} AS "{name}"'


encode_object = msgspec.json.Encoder().encode


def to_table(events: Sequence[StoredEvent]) -> pa.Table:
    """The rows of SCHEMA for events, in their order."""
    return pa.table([_values(column, events) for column in COLUMNS], schema=SCHEMA)


def _values(column: Column, events: Sequence[StoredEvent]) -> pa.Array:
    values = [getattr(event, column.name) for event in events]
    if column.role is Role.OBJECT:
        values = [None if each is None else encode_object(each).decode() for each in values]
    return pa.array(values, SCHEMA.field(column.name).type)
