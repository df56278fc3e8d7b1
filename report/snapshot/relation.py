"""What a question is asked of: the rows of a snapshot, each event once, and a cursor to ask on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from report.snapshot.definition import Cursor, Definition
from report.snapshot.events import by_group, events
from report.snapshot.listed_part import ListedPart
from report.snapshot.site_counts import SiteCounts
from report.snapshot.site_rows import SiteRows
from report.snapshot.snapshot import Snapshot
from report.snapshot.spool_events import waiting, without_repetitions
from report.terms.selection import Selection

Rows = list[tuple[Any, ...]]

PATHS_OF = """
    SELECT DISTINCT filename FROM read_parquet(
        $parts, hive_partitioning = false, filename = true
    ) WHERE site_id = $site
"""


@dataclass(frozen=True, slots=True)
class Relation:
    cursor: Cursor
    snapshot: Snapshot
    site_counts: SiteCounts

    def ask(self, asked: Selection, sql: str, **bound: Any) -> Rows:
        """`sql` goes on after the definition of `events`, which are those that are asked for."""
        return self.rows(self.events(asked), sql, **bound)

    def rows(self, events: Definition, sql: str, **bound: Any) -> Rows:
        with events.on(self.cursor) as ask:
            return ask(sql, **bound)

    def events(self, asked: Selection, parts: list[ListedPart] | None = None) -> Definition:
        """Those of the spool, and of these of the parts that are not in memory; None: of all."""
        if parts is None:
            return events(self.snapshot, asked)
        return events(replace(self.snapshot, parts_to_read=parts), asked)

    def by_group(self, asked: Selection, groups: Sequence[Sequence[ListedPart]]) -> Definition:
        """`events_0`, `events_1` and so on: those of each group of parts."""
        return by_group(self.snapshot, groups, asked)

    def waiting(self) -> Definition:
        """`waiting`, what no part holds yet, and `fresh`, that without repetitions."""
        return waiting(self.snapshot)

    def sites(self) -> pa.Table:
        """Every site with its counts, see report.snapshot.site_counts."""
        return self.site_counts.of_all(self.cursor, self.snapshot)

    def sites_in_parts(self) -> pa.Table:
        """The same of the parts alone."""
        return self.site_counts.of_parts(self.cursor, self.snapshot)


def prepared(cursor: Cursor, snapshot: Snapshot, site: str | None, rows: SiteRows) -> Snapshot:
    """The same events; of one site without repetitions, and with the rows that are in memory."""
    if site is None:
        return snapshot
    return rows.with_cached_rows(cursor, without_repetitions(cursor, snapshot, site), site)


def with_parts_of(cursor: Cursor, snapshot: Snapshot, site: str) -> Snapshot:
    """The same snapshot of a site; of parts that are to be read, those alone with rows of it."""
    if not snapshot.parts_to_read:
        return snapshot
    by_path = dict(zip(snapshot.paths(snapshot.parts_to_read), snapshot.parts_to_read, strict=True))
    found = cursor.execute(PATHS_OF, {"parts": list(by_path), "site": site}).fetchall()
    with_rows = {path for (path,) in found}
    parts = [part for path, part in by_path.items() if path in with_rows]
    return replace(snapshot, parts=parts, parts_to_read=parts)
