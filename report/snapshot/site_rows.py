"""Rows that were read from parts before, by site: a part never changes, so they stay true.

To find a few rows in a part costs as much as to read thousands of them. A site that has few rows
is read from its parts once; a site that has many is left where it is.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.columns import DATE, STORED, completed
from report.snapshot.lake_listing import LakeListing
from report.snapshot.listed_part import ListedPart, Source, bits
from report.snapshot.part_files import of_each_format
from report.snapshot.snapshot import Snapshot
from report.terms.period import Dates

SITE_ROWS_MAX = 100_000
SITE_BYTES = 14_336  # of an entry, beside its rows: measured, most is Arrow's
SCHEMA_OF_ROWS = STORED.append(pa.field("part", pa.int32()))

READ = """
    SELECT * FROM read_parquet($parts, hive_partitioning = false, filename = true)
    WHERE site_id = $site LIMIT $limit
"""  # parts of one format


@dataclass(frozen=True, slots=True)
class Site:
    """Rows of SCHEMA_OF_ROWS by time, all that some parts have; `part` is the number of one."""

    numbers: int  # of those parts, as bits
    rows: pa.Table
    refused_rows: int = 1 << 62  # parts with so many rows, of all sites, have too many of it

    @property
    def bytes(self) -> int:
        return SITE_BYTES + self.numbers.bit_length() // 8 + int(self.rows.nbytes)

    def without(self, numbers: int) -> "Site":
        """The same without the parts that have these numbers, as bits."""
        if not self.numbers & numbers:
            return self
        left = self.numbers & ~numbers
        return replace(self, numbers=left, rows=_of(self.rows, left))


NOTHING = Site(0, SCHEMA_OF_ROWS.empty_table())


class SiteRows:
    """May be used by several threads."""

    def __init__(self, bytes_max: int, listing: LakeListing) -> None:
        # Fixed for the life of the process
        self._bytes_max = bytes_max
        self._listing = listing
        self._lock = threading.Lock()

        # The site that was asked for last is the last
        self._sites: OrderedDict[str, Site] = OrderedDict()
        self.bytes = 0  # of all of them

    def with_cached_rows(
        self, cursor: duckdb.DuckDBPyConnection, snapshot: Snapshot, site: str
    ) -> Snapshot:
        """The same snapshot; if the site has few rows, with them in place of its parts."""
        known = self._sites.get(site, NOTHING).without(self._listing.gone)
        asked = bits(snapshot.parts)
        unknown = asked & ~known.numbers
        missing = [part for part in snapshot.parts if unknown >> part.number & 1]
        rows = sum(part.rows.total for part in missing)
        if missing and rows < known.refused_rows:
            known = _read(cursor, known, site, snapshot.source, missing)
        refused = bool(missing) and rows >= known.refused_rows
        if known.rows.num_rows or refused or len(snapshot.spool_rows):
            self._keep(site, known)
        if refused:
            return snapshot
        found = _of(within(known.rows, snapshot.asked), asked)
        return replace(snapshot, cached_rows=found.drop("part"), parts_to_read=[])

    def _keep(self, site: str, known: Site) -> None:
        with self._lock:
            before = self._sites.pop(site, None)
            self._sites[site] = known
            if known is not before:
                self.bytes += known.bytes - (before.bytes if before else 0)
            while self.bytes > self._bytes_max:
                _, oldest = self._sites.popitem(last=False)
                self.bytes -= oldest.bytes


def within(rows: pa.Table, dates: Dates) -> pa.Table:
    """The rows of these dates, of rows by time: nothing is copied."""
    if dates == Dates():
        return rows
    days = rows[DATE.name].to_numpy()
    start = np.searchsorted(days, np.datetime64(dates.first), "left") if dates.first else 0
    end = np.searchsorted(days, np.datetime64(dates.last), "right") if dates.last else len(days)
    return rows.slice(start, max(end - start, 0))


def _read(
    cursor: duckdb.DuckDBPyConnection,
    known: Site,
    site: str,
    source: Source,
    parts: Sequence[ListedPart],
) -> Site:
    room = SITE_ROWS_MAX - known.rows.num_rows
    rows = [known.rows]
    for _, group in of_each_format(parts):
        found = _rows_in(cursor, group, site, source, room + 1)
        room -= found.num_rows
        if room < 0:
            return replace(NOTHING, refused_rows=sum(part.rows.total for part in parts))
        rows.append(found)
    return Site(known.numbers | bits(parts), _by_time(rows), known.refused_rows)


def _rows_in(
    cursor: duckdb.DuckDBPyConnection,
    parts: Sequence[ListedPart],
    site: str,
    source: Source,
    limit: int,
) -> pa.Table:
    """At most so many rows of the site in parts of one format."""
    numbers = {str(source(each.part)): each.number for each in parts}
    parameters = {"parts": list(numbers), "site": site, "limit": limit}
    found = cursor.sql(READ, params=parameters).to_arrow_table()
    names = found["filename"].combine_chunks().dictionary_encode()
    of_names = pa.array([numbers[path] for path in names.dictionary.to_pylist()], pa.int32())
    rows = found.append_column("part", of_names.take(names.indices))
    return completed(rows, SCHEMA_OF_ROWS)


def _by_time(tables: Sequence[pa.Table]) -> pa.Table:
    rows = pa.concat_tables(tables).combine_chunks()
    times = rows["timestamp"].to_numpy()
    if np.all(times[1:] >= times[:-1]):
        return rows
    return rows.take(pc.array_sort_indices(rows["timestamp"])).combine_chunks()


def _of(rows: pa.Table, numbers: int) -> pa.Table:
    """Those of the parts with these numbers, as bits."""
    present = pc.unique(rows["part"])
    wanted = [number for number in present.to_pylist() if numbers >> number & 1]
    if len(wanted) == len(present):
        return rows
    return rows.filter(pc.is_in(rows["part"], pa.array(wanted, pa.int32())))
