"""What went before, beside each row of an answer: the same group, and of times the same place."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from report.questions.figures import Figures, Row
from report.questions.labels import buckets_of, labels
from report.terms.buckets import OF_THE_CLOCK
from report.terms.query.date_range import Range
from report.terms.query.metric import change
from report.terms.query.request import Query
from report.terms.zone import local_time


class Compared(Struct, frozen=True):
    """The same of what went before. `change` is in percent, of a rate in points."""

    dimensions: list[str]
    metrics: list[int | float | None]
    change: list[float | None]


def beside(
    query: Query, dates: Range, rows: Sequence[Row], before: Figures
) -> list[Compared | UnsetType]:
    """Of each row; `before` has the figures of these dates. Not there: there was no such time."""
    count = len(query.dimensions)
    groups: list[Row | None] = [row[:count] for row in rows]
    time = next((n for n, each in enumerate(query.dimensions) if each.level == "time"), None)
    if time is not None:
        by_key = _earlier_keys(query, dates)
        groups = [_with_time(row[:count], time, by_key.get(row[time])) for row in rows]
    figures = iter(before.of([group for group in groups if group is not None]))
    return [
        UNSET if group is None else _compared(query, row[count:], group, next(figures))
        for row, group in zip(rows, groups, strict=True)
    ]


def _with_time(group: Row, number: int, key: int | None) -> Row | None:
    """None: there was no such time, as in an hour that the clock left out."""
    return None if key is None else (*group[:number], key, *group[number + 1 :])


def _compared(query: Query, metrics: Row, group: Row, earlier: Row) -> Compared:
    triples = zip(query.metrics, metrics, earlier, strict=True)
    changes = [change(metric.kind, now, before) for metric, now, before in triples]
    return Compared(labels(query, group), list(earlier), changes)


def _earlier_keys(query: Query, compared: Range) -> dict[int, int]:
    """By the key of a bucket, that of the one which it is compared with: the same of the calendar,
    or what the clock showed as many days after the first."""
    ours, theirs = _places(query, query.range), _places(query, compared)
    return {key: theirs[place] for place, key in ours.items() if place in theirs}


def _places(query: Query, dates: Range) -> dict[Any, int]:
    """The keys of its buckets by their place in it."""
    assert query.time and query.time.interval
    keys = [key for key, _ in buckets_of(query, dates)]
    if query.time.interval not in OF_THE_CLOCK:
        return dict(enumerate(keys))
    if dates.instants:
        return {key - dates.instants[0]: key for key in keys}
    first = datetime(dates.first.year, dates.first.month, dates.first.day)
    places: dict[Any, int] = {}
    for key in keys:
        local = local_time(query.zone, key)
        places[local.replace(tzinfo=None) - first, local.fold] = key
    return places
