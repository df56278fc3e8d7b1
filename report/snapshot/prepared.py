"""What a question is asked of: the rows of a snapshot, each event once, and a cursor to ask on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pyarrow as pa

from report.snapshot.listed_part import ListedPart
from report.snapshot.relation import Events, divided, events, waiting, without_repetitions
from report.snapshot.site_counts import SiteCounts
from report.snapshot.site_rows import SiteRows
from report.snapshot.snapshot import Snapshot
from report.terms.selection import Selection

Cursor = duckdb.DuckDBPyConnection
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Relation:
    cursor: Cursor
    snapshot: Snapshot
    site_counts: SiteCounts

    def ask(self, asked: Selection, sql: str, **bound: Any) -> Rows:
        """`sql` goes on after the definition of `events`, which are those that are asked for."""
        return self.rows(self.events(asked), sql, **bound)

    def rows(self, events: Events, sql: str, **bound: Any) -> Rows:
        with events.on(self.cursor) as ask:
            return ask(sql, **bound)

    def events(self, asked: Selection, parts: list[ListedPart] | None = None) -> Events:
        """Those of the spool, and of these of the parts that are not in memory; None: of all."""
        if parts is None:
            return events(self.snapshot, asked)
        return events(replace(self.snapshot, parts_to_read=parts), asked)

    def divided(self, asked: Selection, groups: Sequence[Sequence[ListedPart]]) -> Events:
        """`events_0`, `events_1` and so on: those of each group of parts."""
        return divided(self.snapshot, groups, asked)

    def waiting(self) -> Events:
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
