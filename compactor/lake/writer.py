"""Writes rows as Parquet: sorted, small, and quick to prune.

Measured on two million events of ordinary traffic; each choice is said where it is made.
"""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compactor.lake.columns import (
    DATE,
    DERIVED,
    FORMAT_VERSION,
    SCHEMA,
    STORED,
    completed,
    names_of,
)
from compactor.lake.footer import FOOTER_KEY, Footer
from ingest.event import Role

ROW_GROUP_ROWS = 122_880
SAMPLE_ROWS = 16_384
SORTED_BY = ("site_id", "timestamp")

CODED = names_of(Role.CODE)
DERIVED_ID = 1_000  # columns of events are only ever added, and have the numbers below
FIELD_IDS = {name: n for n, name in enumerate(SCHEMA.names, 1)} | {
    name: n for n, name in enumerate(DERIVED.names, DERIVED_ID)
}
_RANDOM = names_of(Role.RANDOM)
_TEXTS = [*names_of(Role.TEXT, Role.RANDOM, Role.OBJECT), "visit_exit"]
_TIMES = names_of(Role.INSTANT)
# Hardly two are alike. By streams of bytes they are a twelfth smaller, and DuckDB cannot read them.
_LENGTHS = ("visit_ms", "visit_engaged_ms")


def prepare_columns(table: pa.Table) -> pa.Table:
    """The same rows, cheaper to gather: one chunk a column, and codes where there are few values.

    take() then moves integers, and the Parquet writer takes the codes as they are.
    """
    for name in set(CODED) & set(table.column_names):
        coded = pc.dictionary_encode(table[name]).unify_dictionaries()
        table = table.set_column(table.schema.get_field_index(name), name, coded)
    return table.combine_chunks()


def sort_order(table: pa.Table) -> pa.Array:
    """Row positions by site_id, timestamp, equal ones in their order.

    Two stable passes: by time, then by the rank of the site's code, which is a counting sort.
    A seventh of the cost of sorting by the strings.
    """
    site = one_chunk(table["site_id"])
    rank = pc.array_sort_indices(pc.array_sort_indices(site.dictionary)).cast(pa.uint32())
    by_time = pc.array_sort_indices(one_chunk(table["timestamp"]))
    return by_time.take(pc.array_sort_indices(rank.take(site.indices).take(by_time)))


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """As one array; with several chunks, take() would join them anew at every call."""
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined


def gather(table: pa.Table, order: pa.Array) -> Iterator[pa.Table]:
    """The rows at the positions `order`, a row group at a time: a pass is never twice in memory."""
    for start in range(0, len(order), ROW_GROUP_ROWS):
        yield take_rows(table, order.slice(start, ROW_GROUP_ROWS))


def take_rows(table: pa.Table, positions: pa.Array) -> pa.Table:
    return pa.table([column.take(positions) for column in table.columns], schema=table.schema)


def write_part(
    file: BinaryIO, groups: Iterable[pa.Table], sample: pa.Table, footer: Footer
) -> None:
    """Sorted rows as one Parquet file, a row group for each of `groups`.

    They need not have all columns of STORED: see columns.completed. `sample`: some of the rows,
    neighbours; it decides how columns are encoded.
    """
    encodings = _encodings(sample)
    schema = _schema(sample.schema)
    with pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        # in random hexadecimal, level 3 finds nothing that level 1 does not
        compression_level={name: 1 if name in _RANDOM else 3 for name in STORED.names},
        use_dictionary=[name for name in STORED.names if name not in encodings],
        column_encoding=encodings,
        write_statistics=[*CODED, *_TIMES, DATE.name],
        write_page_checksum=True,
        store_schema=False,
        sorting_columns=[pq.SortingColumn(STORED.get_field_index(name)) for name in SORTED_BY],
    ) as writer:
        ends: list[str] = []
        for group in groups:
            writer.write_table(completed(group, schema), row_group_size=ROW_GROUP_ROWS)
            if len(group):
                ends += group["site_id"].take([0, len(group) - 1]).to_pylist()
        # whatever was said of the rows before: this is what they are as they are written now
        sites = (ends[0], ends[-1]) if ends else None
        footer = msgspec.structs.replace(footer, version=FORMAT_VERSION, sites=sites)
        writer.add_key_value_metadata({FOOTER_KEY: msgspec.json.encode(footer)})


def _schema(rows: pa.Schema) -> pa.Schema:
    """STORED with the rows' own types, codes that is, and with the ids that other engines need."""
    return pa.schema(
        [
            pa.field(
                field.name,
                rows.field(field.name).type if field.name in rows.names else field.type,
                field.nullable,
                {"PARQUET:field_id": str(FIELD_IDS[field.name])},
            )
            for field in STORED
        ]
    )


def _encodings(sample: pa.Table) -> dict[str, str]:
    """The columns that are smaller without a dictionary: times, and texts that rarely repeat."""
    encodings = dict.fromkeys(_TIMES, "DELTA_BINARY_PACKED")
    encodings |= dict.fromkeys(_LENGTHS, "PLAIN")
    for name in set(_TEXTS) & set(sample.column_names):
        values = sample[name].drop_null()
        if len(pc.unique(values)) > len(values) / 2:
            encodings[name] = "DELTA_LENGTH_BYTE_ARRAY"
    return encodings


def sample_of(table: pa.Table, order: pa.Array) -> pa.Table:
    return take_rows(table, order.slice(max(0, (len(order) - SAMPLE_ROWS) // 2), SAMPLE_ROWS))
