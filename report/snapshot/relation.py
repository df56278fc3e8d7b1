"""The one place that says what an event is: the SQL relation `events` of a selection."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.columns import SCHEMA
from report.snapshot.listed_part import ListedPart
from report.snapshot.part_files import files
from report.snapshot.snapshot import Snapshot
from report.snapshot.spool_rows import ROWS
from report.terms.filters import conditions
from report.terms.period import Period
from report.terms.selection import Selection
from report.terms.zone import DAY_US, Stretch, midnight, stretches, to_datetime

# One row per event of a site. Of events with the same site, date and event_id one counts, the one
# that the lake has or will have: what is stored already, then what was received first.
WAITING = """
    waiting AS NOT MATERIALIZED (
        {waiting}
    ), fresh AS NOT MATERIALIZED (
        {fresh}
    )"""
EVENTS = """
    {name} AS NOT MATERIALIZED (
        {sources}
    )
"""
SOURCE = "SELECT {columns} FROM {source} WHERE {of_site} {conditions}"
UNIQUE = """
        SELECT * FROM waiting WHERE event_id IS NULL
        UNION ALL
        SELECT * FROM waiting ANTI JOIN (
            SELECT site_id, date, event_id FROM {known} WHERE {of_site}
        ) USING (site_id, date, event_id) WHERE event_id IS NOT NULL
        QUALIFY row_number() OVER (
            PARTITION BY site_id, date, event_id ORDER BY received_at, segment, line
        ) = 1
"""
SPILLED = """
        UNION ALL
        SELECT * FROM read_parquet($spilled, hive_partitioning = false)
        WHERE {of_site} AND date BETWEEN $first AND $last AND (segment, date) NOT IN (
            SELECT unnest($covered_segments::VARCHAR[]), unnest($covered_dates::DATE[])
        )
"""
COLUMNS = ", ".join('"timestamp"' if name == "timestamp" else name for name in SCHEMA.names)
PATHS_OF = """
    SELECT DISTINCT filename FROM read_parquet(
        $parts, hive_partitioning = false, filename = true
    ) WHERE site_id = $site
"""
NOTHING = "(FROM live LIMIT 0)"
OF_SITE = "site_id = $site"


Cursor = duckdb.DuckDBPyConnection
Ask = Callable[..., list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Events:
    """`sql` defines the relation `events`, for a query to go on with; `parameters` are bound."""

    sql: str
    parameters: dict[str, Any]
    tables: dict[str, pa.Table]  # by the names that the SQL has for them
    over: list[Stretch]  # the offsets of the zone, from the first event to the last

    @contextmanager
    def on(self, cursor: Cursor) -> Iterator[Ask]:
        """A function that runs a query, and another one if need be."""
        with self._tables_in(cursor):
            yield lambda query, **more: cursor.execute(
                self.sql + query, self.parameters | more
            ).fetchall()

    def stream(self, cursor: Cursor, query: str, batch_rows: int) -> Iterator[pa.RecordBatch]:
        with self._tables_in(cursor):
            # not execute(): that has the whole result in memory
            result = cursor.sql(self.sql + query, params=self.parameters)
            yield from result.to_arrow_reader(batch_rows)

    @contextmanager
    def _tables_in(self, cursor: Cursor) -> Iterator[None]:
        for name, table in self.tables.items():
            cursor.register(name, table)
        try:
            yield
        finally:
            for name in self.tables:
                cursor.unregister(name)


def events(snapshot: Snapshot, asked: Selection) -> Events:
    """The events that are asked for, of those in the snapshot."""
    over = _stretches(snapshot, asked.period)
    parameters: dict[str, Any] = {"site": asked.site_id}
    where = [
        *conditions(asked.filters, parameters),
        *_times(snapshot, asked.period, over, parameters),
    ]
    select = {"columns": COLUMNS, "of_site": OF_SITE, "conditions": "".join(where)}
    sources = list(_sources(snapshot, parameters)) or ["live"]
    texts = [EVENTS.format(name="events", sources=_union(sources, select))]
    if "fresh" in sources:
        texts.insert(0, _waiting(snapshot, OF_SITE, parameters))
    tables = {"live": snapshot.spool_rows, "read": snapshot.cached_rows}
    if "read" not in sources:
        del tables["read"]
    if not {"live", "fresh"} & set(sources):
        del tables["live"]
    return Events("WITH " + ",".join(texts), parameters, tables, over)


def divided(snapshot: Snapshot, groups: Sequence[Sequence[ListedPart]], asked: Selection) -> Events:
    """The relations `events_0`, `events_1` and so on: the events of each group of its parts."""
    parameters: dict[str, Any] = {"site": asked.site_id}
    select = {"columns": COLUMNS, "of_site": OF_SITE}
    select["conditions"] = "".join(conditions(asked.filters, parameters))
    texts = []
    for n, group in enumerate(groups):
        sources = files(f"parts_{n}", group, snapshot.lake, parameters)
        texts.append(EVENTS.format(name=f"events_{n}", sources=_union(sources, select)))
    return Events("WITH " + ",".join(texts), parameters, {}, [])


def without_repetitions(cursor: Cursor, snapshot: Snapshot, site: str) -> Snapshot:
    """The same snapshot of a site; if all fits into memory, without what would not count."""
    live = snapshot.spool_rows
    if snapshot.spilled or live["event_id"].null_count == len(live):
        return snapshot
    parameters: dict[str, Any] = {"site": site}
    sql = "WITH " + _waiting(snapshot, OF_SITE, parameters)
    fresh = Events(sql, parameters, {"live": live}, [])
    batches = list(fresh.stream(cursor, "SELECT * FROM fresh", len(live)))
    table = pa.Table.from_batches(batches).cast(ROWS) if batches else live.slice(0, 0)
    return replace(snapshot, spool_rows=table, has_no_repetitions=True)


def with_parts_of(cursor: Cursor, snapshot: Snapshot, site: str) -> Snapshot:
    """The same snapshot of a site; of parts that are to be read, those alone with rows of it."""
    if not snapshot.parts_to_read:
        return snapshot
    by_path = dict(zip(snapshot.paths(snapshot.parts_to_read), snapshot.parts_to_read, strict=True))
    found = cursor.execute(PATHS_OF, {"parts": list(by_path), "site": site}).fetchall()
    with_rows = {path for (path,) in found}
    parts = [part for path, part in by_path.items() if path in with_rows]
    return replace(snapshot, parts=parts, parts_to_read=parts)


def waiting(snapshot: Snapshot) -> Events:
    """Of all sites: `waiting`, what no part holds yet, and `fresh`, that without repetitions."""
    parameters: dict[str, Any] = {}
    sql = "WITH " + _waiting(snapshot, "true", parameters)
    return Events(sql, parameters, {"live": snapshot.spool_rows}, [])


def _union(sources: Iterable[str], select: dict[str, str]) -> str:
    return " UNION ALL ".join(SOURCE.format(source=source, **select) for source in sources)


def _sources(snapshot: Snapshot, parameters: dict[str, Any]) -> Iterator[str]:
    """Where there are rows: what is empty would only cost time."""
    yield from files("parts", snapshot.parts_to_read, snapshot.lake, parameters)
    if len(snapshot.cached_rows):
        yield "read"
    if len(snapshot.spool_rows) or snapshot.spilled:
        yield "fresh"


def _waiting(snapshot: Snapshot, of_site: str, parameters: dict[str, Any]) -> str:
    rows = "SELECT * FROM live"
    if snapshot.spilled:
        rows += _spilled(snapshot, parameters).format(of_site=of_site)
    return WAITING.format(waiting=rows, fresh=_fresh(snapshot, of_site, parameters))


def _stretches(snapshot: Snapshot, period: Period) -> list[Stretch]:
    held = snapshot.dates
    if held.first is None or held.last is None:
        return []
    return stretches(period.zone, midnight(held.first), midnight(held.last) + DAY_US)


def _times(
    snapshot: Snapshot, period: Period, over: Sequence[Stretch], parameters: dict[str, Any]
) -> Iterator[str]:
    """None where whole UTC dates are asked for: parts and rows are chosen by date already."""
    if period.zone == "UTC" or not (period.first or period.last):
        return
    either = []
    for n, (start, end) in enumerate(period.intervals(over)):
        parameters |= {f"start_{n}": to_datetime(start), f"end_{n}": to_datetime(end)}
        either.append(f'("timestamp" >= $start_{n} AND "timestamp" < $end_{n})')
    yield f" AND ({' OR '.join(either)})" if either else " AND false"


def _fresh(snapshot: Snapshot, of_site: str, parameters: dict[str, Any]) -> str:
    """Only event_ids can repeat, and only within a date."""
    dates: set[date] = set().union(*(each.dates for each in snapshot.spilled))
    if snapshot.has_no_repetitions:
        return "SELECT * FROM waiting"
    named = snapshot.spool_rows.filter(pc.is_valid(snapshot.spool_rows["event_id"]))
    dates.update(pc.unique(named["date"]).to_pylist())
    if not dates:
        return "SELECT * FROM waiting"
    paths = snapshot.paths(part for part in snapshot.parts if part.date in dates)
    return UNIQUE.format(known=_known(paths, parameters), of_site=of_site)


def _spilled(snapshot: Snapshot, parameters: dict[str, Any]) -> str:
    pairs = list(snapshot.not_to_count())
    parameters["first"] = snapshot.asked.first or date.min
    parameters["last"] = snapshot.asked.last or date.max
    parameters["spilled"] = [str(each.path) for each in snapshot.spilled]
    parameters["covered_segments"] = [id for id, _ in pairs]
    parameters["covered_dates"] = [day for _, day in pairs]
    return SPILLED


def _known(paths: list[str], parameters: dict[str, Any]) -> str:
    if not paths:
        return NOTHING
    parameters["known"] = paths
    return "read_parquet($known, hive_partitioning = true)"
