"""Rows that were read from parts before, by site: a part never changes, so they stay true.

To find a few rows in a part costs as much as to read thousands of them. A site that has few rows
is read from its parts once; a site that has many is left where it is.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.columns import SCHEMA
from compactor.lake.format import Lake, Part
from report.snapshot.snapshot import Snapshot

SITE_ROWS_MAX = 100_000
SCHEMA_OF_ROWS = SCHEMA.append(pa.field("part", pa.int32()))

READ = """
    SELECT * FROM read_parquet($parts, hive_partitioning = false, filename = true)
    WHERE site_id = $site LIMIT $limit
"""


@dataclass(frozen=True, slots=True)
class Site:
    """Rows of SCHEMA_OF_ROWS, all that some parts have; `part` is the number of one of them."""

    numbers: dict[Part, int]
    rows: pa.Table
    refused_parts: int = 1 << 30  # so many parts have too many rows


NOTHING = Site({}, SCHEMA_OF_ROWS.empty_table())


class Hot:
    """May be used by several threads."""

    def __init__(self, bytes_max: int) -> None:
        # Fixed for the life of the process
        self._bytes_max = bytes_max
        self._lock = threading.Lock()

        # The site that was asked for last is the last
        self._sites: OrderedDict[str, Site] = OrderedDict()

    def warmed(self, cursor: duckdb.DuckDBPyConnection, snapshot: Snapshot, site: str) -> Snapshot:
        """The same snapshot; if the site has few rows, with them in place of its parts."""
        known = self._sites.get(site, NOTHING)
        missing = [part for part in snapshot.parts if part not in known.numbers]
        if len(missing) >= known.refused_parts:
            return snapshot
        if missing:
            known = _read(cursor, known, site, snapshot.lake, missing)
            self._keep(site, known)
            if len(missing) >= known.refused_parts:
                return snapshot
        return replace(snapshot, read=_of(known, snapshot.parts), unread=[])

    def _keep(self, site: str, known: Site) -> None:
        with self._lock:
            self._sites[site] = known
            self._sites.move_to_end(site)
            bytes_held = sum(each.rows.nbytes for each in self._sites.values())
            while bytes_held > self._bytes_max:
                _, oldest = self._sites.popitem(last=False)
                bytes_held -= oldest.rows.nbytes


def _read(
    cursor: duckdb.DuckDBPyConnection, known: Site, site: str, lake: Lake, parts: Sequence[Part]
) -> Site:
    first = max(known.numbers.values(), default=-1) + 1
    paths = {str(lake.path(part)): n for n, part in enumerate(parts, first)}
    parameters = {"parts": list(paths), "site": site, "limit": SITE_ROWS_MAX + 1}
    found = cursor.sql(READ, params=parameters).to_arrow_table()
    if known.rows.num_rows + found.num_rows > SITE_ROWS_MAX:
        return replace(NOTHING, refused_parts=len(parts))
    names = found["filename"].combine_chunks().dictionary_encode()
    numbers = pa.array([paths[path] for path in names.dictionary.to_pylist()], pa.int32())
    rows = found.drop("filename").append_column("part", numbers.take(names.indices))
    return Site(
        known.numbers | dict(zip(parts, paths.values(), strict=True)),
        pa.concat_tables([known.rows, rows.cast(SCHEMA_OF_ROWS)]).combine_chunks(),
        known.refused_parts,
    )


def _of(known: Site, parts: Sequence[Part]) -> pa.Table:
    rows = known.rows
    if len(parts) < len(known.numbers):
        wanted = pa.array([known.numbers[part] for part in parts], pa.int32())
        rows = rows.filter(pc.is_in(rows["part"], wanted))
    return rows.drop("part")
