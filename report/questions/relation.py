"""What a question is asked of: the rows of a snapshot, each event once, and a cursor to ask on."""

from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from report.snapshot.relation import events, unrepeated
from report.snapshot.site_counts import SiteCounts
from report.snapshot.site_rows import SiteRows
from report.snapshot.snapshot import Snapshot
from report.terms.selection import Selection

Cursor = duckdb.DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Relation:
    cursor: Cursor
    snapshot: Snapshot
    site_counts: SiteCounts

    def ask(self, asked: Selection, sql: str, **bound: Any) -> list[tuple[Any, ...]]:
        """`sql` goes on after the definition of `events`, which are those that are asked for."""
        with events(self.snapshot, asked).on(self.cursor) as ask:
            return ask(sql, **bound)

    def sites(self) -> pa.Table:
        """Every site with its events, the first and the last: see report.snapshot.site_counts."""
        return self.site_counts.of_all(self.cursor, self.snapshot)

    def sites_in_parts(self) -> pa.Table:
        """The same of the parts alone."""
        return self.site_counts.of_parts(self.cursor, self.snapshot)


def prepared(cursor: Cursor, snapshot: Snapshot, site: str | None, rows: SiteRows) -> Snapshot:
    """The same events; of one site without repetitions, and with the rows that are in memory."""
    if site is None:
        return snapshot
    return rows.with_cached_rows(cursor, unrepeated(cursor, snapshot, site), site)
