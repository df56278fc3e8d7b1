"""Events that no part has yet: the SQL relations `waiting`, and `fresh`, where each is once.

Of events with the same site, date and event_id one counts, the one that the lake has or will have:
what is stored already, then what was received first.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from report.snapshot.definition import Cursor, Definition
from report.snapshot.part_files import files
from report.snapshot.snapshot import Snapshot
from report.snapshot.spool_rows import ROWS
from report.terms.period import Dates

WAITING = """
    waiting AS NOT MATERIALIZED (
        {waiting}
    ), fresh AS NOT MATERIALIZED (
        {fresh}
    )"""
UNIQUE = """
        SELECT * FROM waiting WHERE event_id IS NULL
        UNION ALL
        SELECT * FROM waiting ANTI JOIN (
            {known}
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
KNOWN = "SELECT site_id, date, event_id FROM {source} WHERE {of_site}"
OF_SITE = "site_id = $site"


def waiting(snapshot: Snapshot) -> Definition:
    """Of all sites: `waiting`, what no part holds yet, and `fresh`, that without repetitions."""
    parameters: dict[str, Any] = {}
    sql = "WITH " + waiting_sql(snapshot, "true", parameters)
    return Definition(sql, parameters, {"live": snapshot.spool_rows}, [])


def without_repetitions(cursor: Cursor, snapshot: Snapshot, site: str) -> Snapshot:
    """The same snapshot of a site; if all fits into memory, without what would not count."""
    live = snapshot.spool_rows
    if snapshot.spilled or live["event_id"].null_count == len(live):
        return snapshot
    parameters: dict[str, Any] = {"site": site}
    sql = "WITH " + waiting_sql(snapshot, OF_SITE, parameters)
    tables = {"live": live, "read": snapshot.cached_rows}
    fresh = Definition(sql, parameters, tables, [])
    batches = list(fresh.stream(cursor, "SELECT * FROM fresh", len(live)))
    table = pa.Table.from_batches(batches).cast(ROWS) if batches else live.slice(0, 0)
    return replace(snapshot, spool_rows=table, has_no_repetitions=True)


def waiting_sql(snapshot: Snapshot, of_site: str, parameters: dict[str, Any]) -> str:
    rows = "SELECT * FROM live"
    if snapshot.spilled:
        rows += _spilled(snapshot, parameters).format(of_site=of_site)
    return WAITING.format(waiting=rows, fresh=_fresh(snapshot, of_site, parameters))


def _fresh(snapshot: Snapshot, of_site: str, parameters: dict[str, Any]) -> str:
    """Only event_ids can repeat, and only within a date."""
    if snapshot.has_no_repetitions:
        return "SELECT * FROM waiting"
    named = snapshot.spool_rows.filter(pc.is_valid(snapshot.spool_rows["event_id"]))
    dates: set[date] = set(pc.unique(named["date"]).to_pylist())
    dates = dates.union(*(each.dates for each in snapshot.spilled))
    dates = {day for day in dates if day in snapshot.asked}
    if not dates:
        return "SELECT * FROM waiting"
    known = (
        KNOWN.format(source=source, of_site=of_site)
        for source in _stored(snapshot, dates, parameters)
    )
    return UNIQUE.format(known=" UNION ALL ".join(known))


def _stored(snapshot: Snapshot, days: set[date], parameters: dict[str, Any]) -> Iterator[str]:
    """Where rows of these dates are that parts have; without any, a source of none."""
    span = Dates(min(days), max(days))
    parts = [part for part in snapshot.parts_to_read if not days.isdisjoint(part.rows.days(span))]
    yield from files("known", parts, span, snapshot.source, parameters)
    if len(snapshot.cached_rows):
        yield "read"
    elif not parts:
        yield "(FROM live LIMIT 0)"


def _spilled(snapshot: Snapshot, parameters: dict[str, Any]) -> str:
    pairs = list(snapshot.not_to_count())
    parameters["first"] = snapshot.asked.first or date.min
    parameters["last"] = snapshot.asked.last or date.max
    parameters["spilled"] = [str(each.path) for each in snapshot.spilled]
    parameters["covered_segments"] = [id for id, _ in pairs]
    parameters["covered_dates"] = [day for _, day in pairs]
    return SPILLED
