"""Who is in the parts: sites with their events, first and last, and what did not become a row.

A roll-up: derived from the parts alone, exact, and made again when it is not there. Recent parts,
of which there is another one every few minutes, are one sum; each settled part has its own.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from compactor.lake.footer import read_footer
from report.snapshot.listed_part import ListedPart, Source, bits
from report.snapshot.snapshot import Snapshot
from report.snapshot.spool_events import waiting

PARTS_AT_ONCE = 64
ENTRIES_MAX = 1_000_000  # of 60 bytes, a site in a sum each; with more all settled parts are one

COUNTED = """
    SELECT site_id, count(*) AS events, 0::BIGINT AS duplicates, 0::BIGINT AS erased,
           epoch_us(min("timestamp")) AS first, epoch_us(max("timestamp")) AS last
    FROM {rows} GROUP BY site_id
"""
IN_PARTS = COUNTED.format(rows="read_parquet($parts, hive_partitioning = false)")
FRESH = COUNTED.format(rows="fresh")
SUMMED = """
    SELECT site_id, sum(events)::BIGINT AS events, sum(duplicates)::BIGINT AS duplicates,
           sum(erased)::BIGINT AS erased, min(first) AS first, max(last) AS last
    FROM counted GROUP BY site_id
"""
COUNTS = pa.schema(
    [
        ("site_id", pa.string()),
        ("events", pa.int64()),
        ("duplicates", pa.int64()),
        ("erased", pa.int64()),
        ("first", pa.int64()),  # microseconds; null where there are no events
        ("last", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Sum:
    """Of some parts."""

    numbers: int  # theirs, as bits
    table: pa.Table  # of COUNTS


NOTHING = Sum(0, COUNTS.empty_table())


class SiteCounts:
    """May be used by several threads: they share single entries of a dictionary."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[str, Sum] = {}
        self._are_settled_one = False

    def of_parts(self, cursor: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> pa.Table:
        """A row of COUNTS for each site in its parts. For snapshots of all dates."""
        groups: dict[str, list[ListedPart]] = {}
        for part in snapshot.parts:
            groups.setdefault(self._key(part), []).append(part)
        sums = [self._sum(cursor, snapshot.source, key, groups[key]).table for key in groups]
        self._are_settled_one |= sum(map(len, sums)) > ENTRIES_MAX
        with self._lock:
            for key in self._sums.keys() - groups.keys():
                del self._sums[key]
        return _sum(cursor, sums)

    def of_all(self, cursor: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> pa.Table:
        """The same of parts and spool, where an event counts once."""
        stored = self.of_parts(cursor, snapshot)
        with waiting(snapshot).on(cursor) as ask:
            fresh = ask(FRESH)
        return _sum(cursor, [stored, _table(fresh)])

    def _key(self, part: ListedPart) -> str:
        if part.part.is_recent:
            return "recent"
        return "settled" if self._are_settled_one else part.part.id

    def _sum(
        self,
        cursor: duckdb.DuckDBPyConnection,
        source: Source,
        key: str,
        parts: Sequence[ListedPart],
    ) -> Sum:
        known = self._sums.get(key, NOTHING)
        if known.numbers & ~bits(parts):
            known = NOTHING  # one of its parts is gone: a first or last event cannot be taken out
        missing = [part for part in parts if not known.numbers >> part.number & 1]
        for start in range(0, len(missing), PARTS_AT_ONCE):
            new = missing[start : start + PARTS_AT_ONCE]
            table = _sum(cursor, [known.table, *_count(cursor, source, new)])
            known = Sum(known.numbers | bits(new), table)
            with self._lock:
                self._sums[key] = known  # at once: who is interrupted goes on from here
        return known


def _count(
    cursor: duckdb.DuckDBPyConnection, source: Source, parts: Sequence[ListedPart]
) -> list[pa.Table]:
    paths = [str(source(each.part)) for each in parts]
    return [
        cursor.sql(IN_PARTS, params={"parts": paths}).to_arrow_table(),
        *(_lost(source, part) for part in parts if part.counts.duplicates or part.counts.erased),
    ]


def _lost(source: Source, part: ListedPart) -> pa.Table:
    footer = read_footer(source(part.part))
    duplicates, erased = footer.duplicates_by_site, footer.erased_by_site
    return _table(
        [
            (site, 0, duplicates.get(site, 0), erased.get(site, 0), None, None)
            for site in duplicates.keys() | erased.keys()
        ]
    )


def _table(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[]] * len(COUNTS)
    return pa.table([list(column) for column in columns], schema=COUNTS)


def _sum(cursor: duckdb.DuckDBPyConnection, tables: Sequence[pa.Table]) -> pa.Table:
    counted = pa.concat_tables([COUNTS.empty_table(), *(each.cast(COUNTS) for each in tables)])
    cursor.register("counted", counted)
    try:
        return cursor.sql(SUMMED).to_arrow_table().cast(COUNTS).combine_chunks()
    finally:
        cursor.unregister("counted")
