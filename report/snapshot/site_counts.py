"""Who is in a part: its sites with their events, first and last. Counted once for each part.

A roll-up: derived from the parts alone, exact, and made again when it is not there.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from compactor.lake.format import Part
from report.snapshot.relation import waiting
from report.snapshot.snapshot import Snapshot

PARTS_AT_ONCE = 64
ENTRIES_MAX = 2_000_000  # a site in a part each; about 60 bytes

COUNTED = """
    SELECT filename, site_id, count(*) AS events,
           epoch_us(min("timestamp")) AS first, epoch_us(max("timestamp")) AS last
    FROM read_parquet($parts, hive_partitioning = false, filename = true)
    GROUP BY ALL
"""
SUMMED = """
    SELECT site_id, sum(events)::BIGINT AS events, min(first) AS first, max(last) AS last
    FROM counted GROUP BY site_id
"""
FRESH = """
    SELECT site_id, count(*) AS events,
           epoch_us(min("timestamp")) AS first, epoch_us(max("timestamp")) AS last
    FROM fresh GROUP BY site_id
"""
COUNTS = pa.schema(
    [("site_id", pa.string()), ("events", pa.int64()), ("first", pa.int64()), ("last", pa.int64())]
)


class Census:
    """May be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: OrderedDict[Part, pa.Table] = OrderedDict()
        self._entries = 0

    def of_parts(self, cursor: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> pa.Table:
        """Sites with their events in its parts, the first and the last: microseconds."""
        counted = {part: self._counted.get(part) for part in snapshot.parts}
        missing = [part for part, table in counted.items() if table is None]
        for start in range(0, len(missing), PARTS_AT_ONCE):
            new = _count(cursor, snapshot, missing[start : start + PARTS_AT_ONCE])
            self._keep(new)  # at once: who is interrupted goes on from here the next time
            counted |= new
        return _sum(cursor, list(counted.values()))

    def of_all(self, cursor: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> pa.Table:
        """The same of parts and spool, where an event counts once."""
        stored = self.of_parts(cursor, snapshot)
        with waiting(snapshot).on(cursor) as ask:
            fresh = ask(FRESH)
        return _sum(cursor, [stored, _table(fresh)])

    def _keep(self, new: dict[Part, pa.Table]) -> None:
        with self._lock:
            for part in new.keys() - self._counted.keys():
                self._counted[part] = new[part]
                self._entries += new[part].num_rows
            while self._entries > ENTRIES_MAX:
                _, oldest = self._counted.popitem(last=False)
                self._entries -= oldest.num_rows


def _count(
    cursor: duckdb.DuckDBPyConnection, snapshot: Snapshot, parts: Sequence[Part]
) -> dict[Part, pa.Table]:
    by_path = {str(snapshot.lake.path(part)): part for part in parts}
    counted = cursor.execute(COUNTED, {"parts": list(by_path)}).fetchall()
    rows: dict[Part, list[tuple[Any, ...]]] = {part: [] for part in parts}
    for path, *counts in counted:
        rows[by_path[path]].append(tuple(counts))
    return {part: _table(each) for part, each in rows.items()}


def _table(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[]] * len(COUNTS)
    return pa.table([list(column) for column in columns], schema=COUNTS)


def _sum(cursor: duckdb.DuckDBPyConnection, tables: Sequence[pa.Table]) -> pa.Table:
    counted = pa.concat_tables([COUNTS.empty_table(), *tables])
    cursor.register("counted", counted)
    try:
        return cursor.sql(SUMMED).to_arrow_table()
    finally:
        cursor.unregister("counted")
