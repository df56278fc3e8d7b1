"""Finds events that are there already, or twice in one pass: by site_id, date and event_id."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.footer import UnreadablePart
from compactor.lake.writer import one_chunk

# What was received first stays, by the order of lines where that is the same. Numbering all rows
# costs 0.5 µs a row; counting hashes, and numbering those that occur again, a tenth of that.
_REPEATED = """
    WITH again AS (
        SELECT hash(site_id, date, event_id) AS h FROM keys GROUP BY h HAVING count(*) > 1
    )
    SELECT position FROM keys WHERE hash(site_id, date, event_id) IN (FROM again)
    QUALIFY row_number() OVER (
        PARTITION BY site_id, date, event_id ORDER BY received_at, position
    ) > 1
"""
# Parts that moved out may be of a format that has no date. The two bounds leave row groups unread.
_STORED = """
    SELECT position FROM keys SEMI JOIN (
        SELECT site_id, timezone('UTC', "timestamp")::DATE AS date, event_id
        FROM read_parquet($parts, hive_partitioning = false)
        WHERE "timestamp" >= $start AND "timestamp" <= $end AND event_id IS NOT NULL
    ) USING (site_id, date, event_id)
"""


def find_duplicates(
    database: duckdb.DuckDBPyConnection,
    table: pa.Table,
    rows: pa.Array,
    dates: Sequence[date],
    parts: list[str],
) -> pa.Array:
    """Positions, of those in `rows`, whose event is stored once already.

    `rows`: positions in `table` that belong to these dates; `parts`: files that may have some.
    Raises UnreadablePart.
    """
    rows = rows.filter(one_chunk(pc.is_valid(table["event_id"].take(rows))))
    if not len(rows):
        return rows
    names = ["site_id", "event_id", "received_at"]
    keys = pa.table([table[name].take(rows) for name in names], names)
    keys = keys.append_column("date", pc.cast(table["timestamp"].take(rows), pa.date32()))
    keys = keys.append_column("position", rows)
    bounds = {"start": _at(dates[0], time.min), "end": _at(dates[-1], time.max)}
    with database.cursor() as cursor:
        cursor.register("keys", keys)
        found = cursor.sql(_REPEATED).to_arrow_table()["position"]
        if parts:
            stored = _stored(cursor, parts, bounds)
            found = pa.chunked_array([*found.chunks, *stored.chunks], found.type)
    return pc.unique(found)


def _stored(
    cursor: duckdb.DuckDBPyConnection, parts: list[str], bounds: dict[str, datetime]
) -> pa.ChunkedArray:
    try:
        found = cursor.sql(_STORED, params={"parts": parts, **bounds})
        return found.to_arrow_table()["position"]
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if len(parts) > 1:  # it does not always say which
            for part in parts:
                _stored(cursor, [part], bounds)
            raise
        raise UnreadablePart(Path(parts[0]), error) from error


def _at(day: date, moment: time) -> datetime:
    return datetime.combine(day, moment, UTC)
