"""Rows of late dates in parts, with their visits: found once, while the parts are the same.

A date is late while there are rows of it that are in no settled part.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pyarrow as pa

from compactor.lake.columns import DATE, READ, SCHEMA, VISIT_SCHEMA, completed
from compactor.lake.visits import add_visits
from report.problem import Code, Problem
from report.snapshot.definition import Cursor, Definition
from report.snapshot.part_files import files
from report.snapshot.snapshot import Snapshot
from report.snapshot.spool_events import OF_SITE
from report.terms.period import Dates

BATCH_ROWS = 65_536
ENTRY_BYTES = 30_720  # of what is kept, beside its rows
EVENT = ", ".join(f'"{name}"' for name in [*SCHEMA.names, DATE.name])
OF_EVENT = pa.schema([READ.field(name) for name in [*SCHEMA.names, DATE.name]])
VISITED = pa.schema([*OF_EVENT, *VISIT_SCHEMA])
NOTHING = VISITED.empty_table()

STORED = f"""
    SELECT {EVENT} FROM ({{sources}})
    WHERE {OF_SITE} AND {DATE.name} IN (SELECT unnest($late::DATE[]))
"""


@dataclass(frozen=True, slots=True)
class Key:
    """All that they depend on."""

    site: str
    days: tuple[date, ...]
    parts: tuple[int, ...]  # their numbers


class LateVisits:
    """Of those sites that were asked for last. May be used by several threads."""

    def __init__(self, bytes_max: int, rows_max: int) -> None:
        """`rows_max`: a question that is about more rows of late dates is refused."""
        # Fixed for the life of the process
        self._bytes_max = bytes_max
        self._rows_max = rows_max
        self._lock = threading.Lock()

        # The one that was asked for last is the last
        self._kept: OrderedDict[Key, pa.Table] = OrderedDict()
        self.bytes = 0  # of all of them

    def of(self, cursor: Cursor, snapshot: Snapshot, site: str, days: Sequence[date]) -> pa.Table:
        """Of VISITED: the site's rows on these dates that are in parts. Raises Problem."""
        if not days:
            return NOTHING
        span, late = Dates(days[0], days[-1]), set(days)
        parts = [part for part in snapshot.parts if not late.isdisjoint(part.rows.days(span))]
        key = Key(site, tuple(days), tuple(part.number for part in parts))
        kept = self._get(key)
        if kept is None:
            to_read = [part for part in parts if part in set(snapshot.parts_to_read)]
            of_span = replace(snapshot.of(span), parts_to_read=to_read)
            kept = with_visits(self.gathered(_stored(cursor, of_span, site, days)))
            self._keep(key, kept)
        return kept

    def gathered(self, batches: Iterable[pa.RecordBatch]) -> pa.Table:
        """Of OF_EVENT. Raises Problem."""
        rows, count = [OF_EVENT.empty_table()], 0
        for batch in batches:
            count += len(batch)
            if count > self._rows_max:
                raise Problem(
                    Code.OVERLOADED,
                    f"More than {self._rows_max:,} events of dates that have not settled yet; "
                    "ask for fewer dates.",
                )
            rows.append(completed(batch, OF_EVENT))
        return pa.concat_tables(rows).unify_dictionaries()

    def _get(self, key: Key) -> pa.Table | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: Key, kept: pa.Table) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = kept
            self.bytes += ENTRY_BYTES + int(kept.nbytes)
            while self.bytes > self._bytes_max:
                _, oldest = self._kept.popitem(last=False)
                self.bytes -= ENTRY_BYTES + int(oldest.nbytes)


def with_visits(rows: pa.Table) -> pa.Table:
    """Of VISITED, from those of whole users and dates."""
    return completed(add_visits(rows), VISITED)


def _stored(
    cursor: Cursor, snapshot: Snapshot, site: str, days: Sequence[date]
) -> Iterable[pa.RecordBatch]:
    """The site's rows on these dates that are in parts."""
    bound: dict[str, Any] = {"site": site, "late": list(days)}
    sources = list(files("parts", snapshot.parts_to_read, snapshot.asked, snapshot.source, bound))
    if len(snapshot.cached_rows):
        sources.append("read")
    if not sources:
        return []
    every = " UNION ALL ".join(f"SELECT {EVENT} FROM {source}" for source in sources)
    stored = Definition(STORED.format(sources=every), bound, {"read": snapshot.cached_rows}, [])
    return stored.stream(cursor, "", BATCH_ROWS)
