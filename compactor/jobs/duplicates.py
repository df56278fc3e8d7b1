"""Finds events that the lake has already, or has twice in one pass: by site_id and event_id."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.format import UnreadablePart
from compactor.lake.writer import one_chunk

# What was received first stays, by the order of lines where that is the same. Numbering all rows
# costs 0.5 µs a row; counting hashes, and numbering those that occur again, a tenth of that.
_REPEATED = """
    WITH again AS (
        SELECT hash(site_id, event_id) AS h FROM keys GROUP BY h HAVING count(*) > 1
    )
    SELECT position FROM keys WHERE hash(site_id, event_id) IN (FROM again)
    QUALIFY row_number() OVER (PARTITION BY site_id, event_id ORDER BY received_at, position) > 1
"""
_STORED = """
    SELECT position FROM keys
    SEMI JOIN read_parquet($parts, hive_partitioning = false) USING (site_id, event_id)
"""


def find_duplicates(
    database: duckdb.DuckDBPyConnection, table: pa.Table, rows: pa.Array, parts: list[str]
) -> pa.Array:
    """Positions, of those in `rows`, whose event is stored once already.

    `rows`: positions in `table` that belong to one date; `parts`: files of that date.
    Raises UnreadablePart.
    """
    rows = rows.filter(one_chunk(pc.is_valid(table["event_id"].take(rows))))
    if not len(rows):
        return rows
    names = ["site_id", "event_id", "received_at"]
    keys = pa.table([table[name].take(rows) for name in names], names)
    keys = keys.append_column("position", rows)
    with database.cursor() as cursor:
        cursor.register("keys", keys)
        found = cursor.sql(_REPEATED).to_arrow_table()["position"]
        if parts:
            stored = _stored(cursor, parts)
            found = pa.chunked_array([*found.chunks, *stored.chunks], found.type)
    return pc.unique(found)


def _stored(cursor: duckdb.DuckDBPyConnection, parts: list[str]) -> pa.ChunkedArray:
    try:
        return cursor.sql(_STORED, params={"parts": parts}).to_arrow_table()["position"]
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if len(parts) > 1:  # it does not always say which
            for part in parts:
                _stored(cursor, [part])
            raise
        raise UnreadablePart(Path(parts[0]), error) from error
