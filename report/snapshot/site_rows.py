"""Rows that were read from parts before, by site: a part never changes, so they stay true.

To find a few rows in a part costs as much as to read thousands of them. Where a site has few rows
they are read once; parts in which it has many are left to be asked.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

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
SITE_BYTES = 30_720  # of an entry, beside its rows: by what a process grows, most is Arrow's
SCHEMA_OF_ROWS = STORED.append(pa.field("part", pa.int32()))

# Of parts of one format
READ = """
    SELECT * FROM read_parquet($parts, hive_partitioning = false, filename = true)
    WHERE site_id = $site
"""
COUNT = """
    SELECT filename, count(*) FROM read_parquet($parts, hive_partitioning = false, filename = true)
    WHERE site_id = $site GROUP BY filename
"""


@dataclass(frozen=True, slots=True)
class Site:
    """Rows of SCHEMA_OF_ROWS by time, all that some parts have; `part` is the number of one."""

    numbers: int  # of those parts, as bits
    rows: pa.Table
    refused: int = 0  # parts that have too many, as bits

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
        """The same snapshot, with rows in place of parts that have few of the site."""
        known = self._sites.get(site, NOTHING).without(self._listing.gone)
        asked = bits(snapshot.parts)
        unknown = asked & ~known.numbers & ~known.refused
        missing = [part for part in snapshot.parts if unknown >> part.number & 1]
        if missing:
            known = _read(cursor, known, site, snapshot.source, missing)
        if known.rows.num_rows or known.refused or len(snapshot.spool_rows):
            self._keep(site, known)
        found = _of(within(known.rows, snapshot.asked), asked)
        to_read = [part for part in snapshot.parts if known.refused >> part.number & 1]
        return replace(snapshot, cached_rows=found.drop("part"), parts_to_read=to_read)

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
    few = _with_few(cursor, parts, site, source, SITE_ROWS_MAX - known.rows.num_rows)
    rows = [known.rows]
    for _, group in of_each_format(few):
        rows.append(_rows_in(cursor, group, site, source))
    refused = bits(parts) & ~bits(few)
    return Site(known.numbers | bits(few), _by_time(rows), known.refused | refused)


def _with_few(
    cursor: duckdb.DuckDBPyConnection,
    parts: Sequence[ListedPart],
    site: str,
    source: Source,
    room: int,
) -> Sequence[ListedPart]:
    """Parts with so many rows of the site, at most, those with fewest first."""
    if sum(part.rows.total for part in parts) <= room:
        return parts
    counts: dict[str, int] = {}
    for _, group in of_each_format(parts):
        bound = {"parts": [str(source(each.part)) for each in group], "site": site}
        counts |= dict(cursor.execute(COUNT, bound).fetchall())
    found = [(counts.get(str(source(part.part)), 0), part) for part in parts]
    found.sort(key=lambda each: each[0])
    until = accumulate(count for count, _ in found)
    return [part for total, (_, part) in zip(until, found, strict=True) if total <= room]


def _rows_in(
    cursor: duckdb.DuckDBPyConnection, parts: Sequence[ListedPart], site: str, source: Source
) -> pa.Table:
    """The rows of the site in parts of one format."""
    numbers = {str(source(each.part)): each.number for each in parts}
    parameters = {"parts": list(numbers), "site": site}
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
