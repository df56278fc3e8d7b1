"""The questions, as SQL over the relation `events`: DuckDB does all of the counting."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from math import inf
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from report.problem import Code, Problem
from report.questions.answers import Bucket, Site, TopPath, Value
from report.snapshot.listed_part import ListedPart
from report.snapshot.relation import divided, events, value_of
from report.snapshot.snapshot import Snapshot
from report.terms.buckets import Interval, buckets, count_at_most, date_of, key_of
from report.terms.period import Period
from report.terms.selection import Breakdown, Selection, Sites, Stats, Timeseries
from report.terms.zone import HOUR_US, Stretch, instant, to_datetime

BUCKETS_MAX = 10_000
BUCKETS_APART_MAX = 60  # each takes 0.7 ms to plan
LIVE_MINUTES = 5

Cursor = duckdb.DuckDBPyConnection
Counts = dict[str, Any]

TOTALS = "SELECT count(*) AS views, count(DISTINCT user_id) AS users FROM events"
BETWEEN = """ WHERE "timestamp" > $after AND "timestamp" <= $now"""
STATS = f"""
    , top AS (
        SELECT path, count(*) AS views FROM events WHERE path IS NOT NULL
        GROUP BY path ORDER BY views DESC, path LIMIT $limit
    )
    SELECT views, users, (SELECT list(top ORDER BY views DESC, path) FROM top) FROM ({TOTALS})
"""
SERIES = """
    SELECT {key} AS key, count(*), count(DISTINCT user_id) FROM events GROUP BY key ORDER BY key
"""
SERIES_APART = "SELECT {key} AS key, count(*), count(DISTINCT user_id) FROM events_{n}"
# Grouped twice, for that is planned in half the time of count(DISTINCT user_id)
BREAKDOWN = """
    , counted AS NOT MATERIALIZED (
        SELECT {value} AS value, user_id, count(*) AS views FROM events GROUP BY value, user_id
    ), grouped AS MATERIALIZED (
        SELECT value, sum(views)::BIGINT AS views, count(user_id) AS users
        FROM counted GROUP BY value
    ), page AS (
        FROM grouped ORDER BY views DESC, value NULLS LAST LIMIT $limit OFFSET $offset
    )
    SELECT (SELECT count(*) FROM grouped), list(page ORDER BY views DESC, value NULLS LAST)
    FROM page
"""


def stats(cursor: Cursor, snapshot: Snapshot, asked: Stats) -> Counts:
    """Views and distinct users, and the most viewed paths, ties by path."""
    with events(snapshot, asked).on(cursor) as ask:
        [(views, users, top)] = ask(STATS, limit=asked.limit)
    return {
        "total_views": views,
        "unique_users": users,
        "top_paths": [TopPath(**row) for row in top or []],
    }


def timeseries(cursor: Cursor, snapshot: Snapshot, asked: Timeseries) -> list[Bucket]:
    """Views and users of every bucket of the period; where it is open, from or to the events."""
    apart = _buckets_apart(snapshot, asked)
    found = _apart(cursor, snapshot, asked, apart)
    rest = [part for part in snapshot.unread if part not in set().union(*apart.values())]
    if rest or snapshot.live_days or not apart:
        selected = events(replace(snapshot, unread=rest), asked)
        series = SERIES.format(key=_key(asked.interval, selected.over))
        with selected.on(cursor) as ask:
            found |= {key: counts for key, *counts in ask(series)}
    period = _closed(asked, found)
    if period is None:
        return []
    refuse_too_many(asked.interval, period)
    earliest = min(found) if asked.period.first is None else -inf
    latest = max(found) if asked.period.last is None else inf
    return [
        Bucket(start, *found.get(key, (0, 0)))
        for key, start in buckets(asked.interval, period)
        if earliest <= key <= latest
    ]


def _apart(
    cursor: Cursor, snapshot: Snapshot, asked: Timeseries, buckets: dict[int, list[ListedPart]]
) -> dict[int, list[int]]:
    """Views and users by key, of the buckets that have any."""
    if not buckets:
        return {}
    each = (SERIES_APART.format(key=key, n=n) for n, key in enumerate(buckets))
    with divided(snapshot, list(buckets.values()), asked).on(cursor) as ask:
        counted = ask(" UNION ALL ".join(each))
    return {key: counts for key, *counts in counted if counts[0]}


def _buckets_apart(snapshot: Snapshot, asked: Timeseries) -> dict[int, list[ListedPart]]:
    """By key, the parts that have all the rows of a bucket, and of no other one.

    Distinct users of one bucket after the other are counted in half the time that it takes to
    count them for all buckets at once: what is looked up fits into the processor's cache.
    """
    if asked.tz != "UTC" or asked.interval == "hour":
        return {}
    parts: dict[int, list[ListedPart]] = {}
    for part in snapshot.unread:
        parts.setdefault(key_of(asked.interval, part.date), []).append(part)
    for day in snapshot.live_days:
        parts.pop(key_of(asked.interval, day), None)
    return parts if len(parts) <= BUCKETS_APART_MAX else {}


def _closed(asked: Timeseries, found: dict[int, Any]) -> Period | None:
    """The period with both ends: where one is open, there the events are."""
    first, last, zone = asked.period.first, asked.period.last, asked.tz
    if first and last:
        return asked.period
    if not found:
        return None
    first = first or date_of(asked.interval, min(found), zone)
    last = last or date_of(asked.interval, max(found), zone)
    return Period(first, last, zone)


def _key(interval: Interval, over: Sequence[Stretch]) -> str:
    """The SQL for a bucket's key, see report.terms.buckets. Has no text of a request in it."""
    offset = _by_stretch(over, [each.offset for each in over])
    local = f"""make_timestamp(epoch_us("timestamp") + {offset})"""
    key = f"epoch_us(date_trunc('{interval}', {local}))"
    if interval != "hour":
        return key
    if all((each.start + each.offset) % HOUR_US == 0 for each in over[1:]):
        return f"{key} - {offset}"
    # An hour that a change cut short starts with the change. What `over` starts with is no change
    starts = [over[0].start - HOUR_US, *(each.start for each in over[1:])]
    return f"greatest({key} - {offset}, {_by_stretch(over, starts)})"


def _by_stretch(over: Sequence[Stretch], values: Sequence[int]) -> str:
    """The SQL for the value that belongs to the stretch of an event."""
    if len(over) < 2:
        return str(values[0]) if values else "0"
    cases = (
        f"""WHEN epoch_us("timestamp") < {each.end} THEN {value}"""
        for each, value in zip(over[:-1], values, strict=False)
    )
    return f"CASE {' '.join(cases)} ELSE {values[-1]} END"


def refuse_too_many(interval: Interval, period: Period) -> None:
    """Raises Problem. A period with an open end is let pass."""
    if not (period.first and period.last):
        return
    if count_at_most(interval, period.first, period.last) > BUCKETS_MAX:
        raise Problem(
            Code.BAD_PARAMETER,
            f"More than {BUCKETS_MAX:,} buckets; ask for a longer interval or fewer dates.",
        )


def breakdown(cursor: Cursor, snapshot: Snapshot, asked: Breakdown) -> Counts:
    """Views and distinct users by value, most views first, ties by value; null: without one."""
    pointer: dict[str, Any] = {}
    query = BREAKDOWN.format(value=value_of(asked.by, pointer))
    with events(snapshot, asked).on(cursor) as ask:
        [(total, rows)] = ask(query, limit=asked.limit, offset=asked.offset, **pointer)
    return {"total": total, "rows": [Value(**row) for row in rows or []]}


def sites(counted: pa.Table, asked: Sites) -> tuple[int, list[Site]]:
    """How many sites there are, and some of them, those with most events first."""
    counted = counted.filter(pc.greater(counted["events"], 0))
    counted = counted.select(["site_id", "events", "first", "last"])
    if asked.site_id:
        counted = counted.filter(pc.equal(counted["site_id"], asked.site_id))
    order = [("events", "descending"), ("site_id", "ascending")]
    page = counted.sort_by(order).slice(asked.offset, asked.limit)
    return counted.num_rows, [_site(**row) for row in page.to_pylist()]


def _site(site_id: str, events: int, first: int, last: int) -> Site:
    return Site(site_id, events, instant(to_datetime(first)), instant(to_datetime(last)))


def live(
    cursor: Cursor,
    snapshot: Snapshot,
    asked: Selection,
    after: datetime,
    now: datetime,
) -> Counts:
    """Views and users after one instant, up to the other. `asked` has their dates."""
    with events(snapshot, asked).on(cursor) as ask:
        [(views, users)] = ask(TOTALS + BETWEEN, after=after, now=now)
    return {"views": views, "users": users}
