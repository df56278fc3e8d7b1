"""GET /stats/timeseries: the metrics of a selection by hour, day, week or month."""

from math import inf
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from report.http.responses import Table
from report.problem import Code, Problem
from report.questions.question import Question, of_selection
from report.snapshot.listed_part import ListedPart
from report.snapshot.relation import Relation
from report.snapshot.snapshot import Snapshot
from report.terms import metrics
from report.terms.buckets import buckets, count_at_most, date_of, key_of, key_sql
from report.terms.period import Period
from report.terms.selection import UTC, Selection, covered, covering

Interval = Literal["hour", "day", "week", "month"]  # POST /query has more

BUCKETS_MAX = 10_000
BUCKETS_APART_MAX = 60  # each takes 0.7 ms to plan

AT_ONCE = f"""
    SELECT {{key}} AS key, {metrics.of_events()} FROM events GROUP BY key ORDER BY key
"""
APART = f"SELECT {{key}} AS key, {metrics.of_events()} FROM events_{{n}}"

Counts = dict[int, list[Any]]  # the metrics by the key of their bucket


class Takes(Selection, frozen=True, kw_only=True):
    interval: Interval = "day"


Start = Annotated[str, Meta(description="RFC 3339, with the zone's offset at that time.")]
Bucket = metrics.row("Bucket", start=Start)
Timeseries = covering("Timeseries", interval=Interval, rows=metrics.table_of(Bucket))


def ask(relation: Relation, asked: Takes) -> Struct:
    apart, rest = plan(relation.snapshot, asked)
    counts = _counted_apart(relation, asked, apart) if apart else {}
    if rest or relation.snapshot.spool_days or not apart:
        counts |= _counted_at_once(relation, asked, rest)
    return Timeseries(**covered(asked), interval=asked.interval, rows=_rows(asked, counts))


def plan(snapshot: Snapshot, asked: Takes) -> tuple[dict[int, list[ListedPart]], list[ListedPart]]:
    """By key, the parts that have all the rows of a bucket, and of no other one; and the rest.

    Distinct users of one bucket after the other are counted in half the time that it takes to
    count them for all buckets at once: what is looked up fits into the processor's cache.
    """
    if asked.zone != UTC or asked.interval == "hour":
        return {}, snapshot.parts_to_read
    apart: dict[int, list[ListedPart]] = {}
    for part in snapshot.parts_to_read:
        apart.setdefault(key_of(asked.interval, part.date), []).append(part)
    for day in snapshot.spool_days:
        apart.pop(key_of(asked.interval, day), None)
    if len(apart) > BUCKETS_APART_MAX:
        return {}, snapshot.parts_to_read
    held = set().union(*apart.values())
    return apart, [part for part in snapshot.parts_to_read if part not in held]


def _counted_apart(relation: Relation, asked: Takes, apart: dict[int, list[ListedPart]]) -> Counts:
    each = (APART.format(key=key, n=n) for n, key in enumerate(apart))
    groups = relation.by_group(asked, list(apart.values()))
    counted = relation.rows(groups, " UNION ALL ".join(each))
    return {key: counts for key, *counts in counted if counts != metrics.ZEROS}


def _counted_at_once(relation: Relation, asked: Takes, parts: list[ListedPart]) -> Counts:
    events = relation.events(asked, parts)
    counted = relation.rows(events, AT_ONCE.format(key=key_sql(asked.interval, events.over)))
    return {key: counts for key, *counts in counted}


def _rows(asked: Takes, counts: Counts) -> list[Struct]:
    """Every bucket of the period; where it is open, from or to the events."""
    period = _closed(asked, counts)
    if period is None:
        return []
    _refuse_too_many(asked.interval, period)
    earliest = min(counts) if asked.period.first is None else -inf
    latest = max(counts) if asked.period.last is None else inf
    return [
        Bucket(start, *counts.get(key, metrics.ZEROS))
        for key, start in buckets(asked.interval, period)
        if earliest <= key <= latest
    ]


def _closed(asked: Takes, counts: Counts) -> Period | None:
    """The period with both ends: where one is open, there the events are."""
    first, last, zone = asked.period.first, asked.period.last, asked.zone
    if first and last:
        return asked.period
    if not counts:
        return None
    first = first or date_of(asked.interval, min(counts), zone)
    last = last or date_of(asked.interval, max(counts), zone)
    return Period(first, last, zone)


def refuse(asked: Takes) -> None:
    """An open period is looked at first."""
    _refuse_too_many(asked.interval, asked.period)


def _refuse_too_many(interval: Interval, period: Period) -> None:
    if not (period.first and period.last):
        return
    if count_at_most(interval, period.first, period.last) > BUCKETS_MAX:
        raise Problem(
            Code.BAD_PARAMETER,
            f"More than {BUCKETS_MAX:,} buckets; ask for a longer interval or fewer dates.",
        )


QUESTION = Question(
    path="/stats/timeseries",
    summary="Views and users by hour, day, week or month",
    takes=Takes,
    answers=Timeseries,
    table=Table("rows", Bucket),
    scope=of_selection,
    refuse=refuse,
    ask=ask,
)
