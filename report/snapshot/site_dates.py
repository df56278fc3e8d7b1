"""Which dates a site has rows of, and how many: from two columns of its parts."""

from collections import Counter
from dataclasses import replace
from datetime import date

import pyarrow.compute as pc

from compactor.lake.columns import DATE, YEARS_SINCE, null
from report.snapshot.definition import Cursor
from report.snapshot.part_files import of_each_format
from report.snapshot.snapshot import Snapshot

COUNT = """
    SELECT filename, {date}, count(*)
    FROM read_parquet($parts, hive_partitioning = false, filename = true)
    WHERE site_id = $site GROUP BY ALL
"""


def with_dates_of(cursor: Cursor, snapshot: Snapshot, site: str) -> tuple[Snapshot, Counter[date]]:
    """The same snapshot of a site; of parts that are to be read, those alone that have rows of it.
    And how many rows it has of each date, at most: those of all sites where rows are in files."""
    rows: Counter[date] = Counter()
    for table in (snapshot.spool_rows, snapshot.cached_rows):
        for pair in pc.value_counts(table[DATE.name]).to_pylist():
            rows[pair["values"]] += pair["counts"]
    for spilled in snapshot.spilled:
        rows.update({day: spilled.rows for day in spilled.dates if day in snapshot.asked})
    by_path = dict(zip(snapshot.paths(snapshot.parts_to_read), snapshot.parts_to_read, strict=True))
    with_rows = set()
    for version, group in of_each_format(snapshot.parts_to_read):
        day = DATE.name if version >= YEARS_SINCE else null(DATE.name)
        bound = {"parts": snapshot.paths(group), "site": site}
        for path, on, count in cursor.execute(COUNT.format(date=day), bound).fetchall():
            if on in snapshot.asked:
                rows[on] += count
                with_rows.add(by_path[path])
    without = set(snapshot.parts_to_read) - with_rows
    parts = [part for part in snapshot.parts if part not in without]
    to_read = [part for part in snapshot.parts_to_read if part in with_rows]
    return replace(snapshot, parts=parts, parts_to_read=to_read), rows
