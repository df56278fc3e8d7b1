"""The columns of the lake: the event's, as Arrow and Parquet have them.

    SCHEMA      what every part has that is written now
    READ        the same in memory: a text of few values comes as codes
    by role     which columns are encoded, pruned and proved in which way

A part of an older format lacks the columns that came later. It is read with what it has; the
others are null.
"""

from collections.abc import Sequence

import msgspec
import pyarrow as pa

from ingest.event import COLUMNS, Column, Role, StoredEvent

INSTANT = pa.timestamp("us", tz="UTC")
FORMAT_VERSION = max(column.since for column in COLUMNS)

_TYPES = {
    Role.CODE: pa.string(),
    Role.TEXT: pa.string(),
    Role.RANDOM: pa.string(),
    Role.NUMBER: pa.int64(),
    Role.INSTANT: INSTANT,
    Role.OBJECT: pa.string(),  # JSON text
}
assert _TYPES.keys() == set(Role), "a role without a type"
_SQL_TYPES = {pa.string(): "VARCHAR", pa.int64(): "BIGINT", INSTANT: "TIMESTAMPTZ"}


def names_of(*roles: Role) -> list[str]:
    return [column.name for column in COLUMNS if column.role in roles]


def names_in(version: int) -> list[str]:
    """The columns of a part of this format, in their order."""
    return [column.name for column in COLUMNS if column.since <= version]


def _schema(types: dict[Role, pa.DataType]) -> pa.Schema:
    return pa.schema(
        [pa.field(each.name, types[each.role], nullable=not each.required) for each in COLUMNS]
    )


SCHEMA = _schema(_TYPES)
READ = _schema(_TYPES | {Role.CODE: pa.dictionary(pa.int32(), pa.string())})


def completed(rows: pa.Table | pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    """The columns of the schema; those that an older part has not are null."""
    present = set(rows.schema.names)
    columns = [
        rows[field.name] if field.name in present else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, names=schema.names).cast(schema)


def null(name: str) -> str:
    """The SQL for a column that is null in every row, of the type that it has elsewhere."""
    return f'NULL::{_SQL_TYPES[SCHEMA.field(name).type]} AS "{name}"'


encode_object = msgspec.json.Encoder().encode


def to_table(events: Sequence[StoredEvent]) -> pa.Table:
    """The rows of SCHEMA for events, in their order."""
    return pa.table([_values(column, events) for column in COLUMNS], schema=SCHEMA)


def _values(column: Column, events: Sequence[StoredEvent]) -> pa.Array:
    values = [getattr(event, column.name) for event in events]
    if column.role is Role.OBJECT:
        values = [None if each is None else encode_object(each).decode() for each in values]
    return pa.array(values, SCHEMA.field(column.name).type)
