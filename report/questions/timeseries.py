"""GET /stats/timeseries: the metrics of a selection by hour, day, week or month."""

from math import inf
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from report.http.responses import Table
from report.problem import Code, Problem
from report.questions.question import Question, of_selection
from report.snapshot.relation import Relation
from report.terms import metrics
from report.terms.buckets import buckets, count_at_most, date_of, key_sql
from report.terms.period import Period
from report.terms.selection import Selection, covered, covering

Interval = Literal["hour", "day", "week", "month"]  # POST /query has more

BUCKETS_MAX = 10_000

SQL = f"""
    SELECT {{key}} AS key, {metrics.of_events()} FROM events GROUP BY key ORDER BY key
"""

Counts = dict[int, list[Any]]  # the metrics by the key of their bucket


class Takes(Selection, frozen=True, kw_only=True):
    interval: Interval = "day"


Start = Annotated[str, Meta(description="RFC 3339, with the zone's offset at that time.")]
Bucket = metrics.row("Bucket", start=Start)
Timeseries = covering("Timeseries", interval=Interval, rows=metrics.table_of(Bucket))


def ask(relation: Relation, asked: Takes) -> Struct:
    events = relation.events(asked)
    counted = relation.rows(events, SQL.format(key=key_sql(asked.interval, events.over)))
    counts = {key: counts for key, *counts in counted}
    return Timeseries(**covered(asked), interval=asked.interval, rows=_rows(asked, counts))


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
