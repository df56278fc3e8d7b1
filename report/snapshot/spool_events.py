"""Events that no part has yet: the SQL relations `waiting`, and `fresh`, where each is once.

Of events with the same site, date and event_id one counts, the one that the lake has or will have:
what is stored already, then what was received first.
"""

from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from report.snapshot.definition import Cursor, Definition
from report.snapshot.snapshot import Snapshot
from report.snapshot.spool_rows import ROWS

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
NOTHING = "(FROM live LIMIT 0)"
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
    fresh = Definition(sql, parameters, {"live": live}, [])
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
