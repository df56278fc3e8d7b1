"""What a question is asked of: the rows of a snapshot, each event once, and a cursor to ask on."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from report.snapshot.definition import Cursor, Definition
from report.snapshot.events import events
from report.snapshot.late_visits import LateVisits
from report.snapshot.site_counts import SiteCounts
from report.snapshot.site_rows import SiteRows
from report.snapshot.snapshot import Snapshot
from report.snapshot.spool_events import waiting, without_repetitions
from report.snapshot.visits import events_with_visits
from report.terms.selection import Selection

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Relation:
    cursor: Cursor
    snapshot: Snapshot
    site_counts: SiteCounts
    late_visits: LateVisits

    def ask(self, asked: Selection, sql: str, **bound: Any) -> Rows:
        """`sql` goes on after the definition of `events`, which are those that are asked for."""
        return self.rows(self.events(asked), sql, **bound)

    def rows(self, events: Definition, sql: str, **bound: Any) -> Rows:
        with events.on(self.cursor) as ask:
            return ask(sql, **bound)

    def events(self, asked: Selection) -> Definition:
        return events(self.snapshot, asked)

    def events_with_visits(self, asked: Selection) -> Definition:
        """Of whole UTC dates and every type, see report.snapshot.visits. Raises Problem."""
        return events_with_visits(self.cursor, self.snapshot, asked, self.late_visits)

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
    """The same events; of one site with the rows that are in memory, and without repetitions."""
    if site is None:
        return snapshot
    return without_repetitions(cursor, rows.with_cached_rows(cursor, snapshot, site), site)
