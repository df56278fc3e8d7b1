"""What POST /query answers, in the shape of Plausible's Stats API v2."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from report.questions.figures import Figures, Row, has_visitors
from report.terms.buckets import OF_THE_CLOCK, buckets, count_at_most
from report.terms.period import Period
from report.terms.query.body import Body
from report.terms.query.date_range import Range
from report.terms.query.dimensions import Dimension
from report.terms.query.metric import change
from report.terms.query.parts import VISITORS
from report.terms.query.request import Query
from report.terms.query.wrong import Wrong
from report.terms.zone import DAY_US, local_time, utc_date

BUCKETS_MAX = 10_000

OF_DAYS = (
    "Their identities are made for one day, so who came on several days is counted on each of them."
)
OF_SITES = "The sum over sites: who was on several of them is counted on each."


class Compared(Struct, frozen=True):
    """The same of what went before. `change` is in percent, of a rate in points."""

    dimensions: list[str]
    metrics: list[int | float | None]
    change: list[float | None]


class Result(Struct, frozen=True):
    """In the order of the question. Null: it has no meaning, as the bounce rate of no visits."""

    dimensions: list[str]
    metrics: list[int | float | None]
    comparison: Compared | UnsetType = UNSET


class Warned(Struct, frozen=True):
    code: str
    warning: str


class About(Struct, frozen=True):
    total_rows: int | UnsetType = UNSET
    time_labels: list[str] | UnsetType = UNSET
    imports_included: bool | UnsetType = UNSET
    metric_warnings: dict[str, Warned] | UnsetType = UNSET


class Asked(Struct, frozen=True):
    """The question as it was understood."""

    site_id: str | list[str]
    metrics: list[str]
    date_range: list[str]
    filters: list[Any]
    dimensions: list[str]
    order_by: list[tuple[str, str]]
    include: dict[str, Any]
    pagination: dict[str, int]
    tz: str
    bots: str
    comparison_date_range: list[str] | UnsetType = UNSET


class Answer(Struct, frozen=True):
    results: list[Result]
    meta: About
    query: Asked


def told(body: Body, query: Query, figures: Figures, before: Figures | None) -> Answer:
    rows = figures.page()
    results = [Result(_labels(query, row), list(row[len(query.dimensions) :])) for row in rows]
    if before is not None and query.compared is not None:
        results = _beside(query, query.compared, rows, results, before)
    return Answer(results, _about(query, figures), _asked(body, query))


def table(answer: Answer) -> tuple[list[str], list[list[object]]]:
    """The names of its columns, and its rows."""
    asked = answer.query
    rows: list[list[object]] = [[*row.dimensions, *row.metrics] for row in answer.results]
    return [*asked.dimensions, *asked.metrics], rows


def _labels(query: Query, row: Row) -> list[str]:
    pairs = zip(query.dimensions, row, strict=False)
    return [label(each, value, query.zone) for each, value in pairs]


def label(dimension: Dimension, value: Any, zone: str) -> str:
    if dimension.interval in OF_THE_CLOCK:
        return local_time(zone, value).isoformat()
    if dimension.interval:
        return utc_date(value).isoformat()
    return dimension.absent if value is None else str(value)


# What went before


def _beside(
    query: Query, compared: Range, rows: Sequence[Row], results: Sequence[Result], before: Figures
) -> list[Result]:
    count = len(query.dimensions)
    groups = [row[:count] for row in rows]
    time = next((n for n, each in enumerate(query.dimensions) if each.level == "time"), None)
    earlier: list[Row | None] = list(groups)
    if time is not None:
        by_key = _earlier_keys(query, compared)
        earlier = [_with_time(group, time, by_key.get(group[time])) for group in groups]
    there = [group for group in earlier if group is not None]
    figures = iter(before.of(there))
    return [
        result if group is None else _compared(query, result, group, next(figures))
        for result, group in zip(results, earlier, strict=True)
    ]


def _with_time(group: Row, number: int, key: int | None) -> Row | None:
    """None: there was no such time, as an hour that the clock left out."""
    return None if key is None else (*group[:number], key, *group[number + 1 :])


def _compared(query: Query, result: Result, group: Row, metrics: Row) -> Result:
    triples = zip(query.metrics, result.metrics, metrics, strict=True)
    changes = [change(metric.kind, now, before) for metric, now, before in triples]
    earlier = Compared(_labels(query, group), list(metrics), changes)
    return Result(result.dimensions, result.metrics, earlier)


def _earlier_keys(query: Query, compared: Range) -> dict[int, int]:
    """By the key of a bucket, that of the one which it is compared with: the same of the calendar,
    or what the clock showed as many days after the first."""
    ours, theirs = _places(query, query.range), _places(query, compared)
    return {key: theirs[place] for place, key in ours.items() if place in theirs}


def _places(query: Query, dates: Range) -> dict[Any, int]:
    """The keys of its buckets by their place in it."""
    assert query.time and query.time.interval
    keys = [key for key, _ in _buckets(query, dates)]
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


# Buckets


def _buckets(query: Query, dates: Range) -> list[tuple[int, str]]:
    """Key and label of each that has some of these dates. Raises Wrong when there are too many."""
    dimension = query.time
    assert dimension and dimension.interval
    if count_at_most(dimension.interval, dates.first, dates.last) > BUCKETS_MAX:
        what = f"more than {BUCKETS_MAX:,} buckets; take a longer interval or fewer dates"
        raise Wrong("$.dimensions", what)
    period = Period(dates.first, dates.last, dates.zone)
    found = [key for key, _ in buckets(dimension.interval, period)]
    if dates.instants and dimension.interval in OF_THE_CLOCK:
        start, end = dates.instants
        found = [key for key in found if start - OF_THE_CLOCK[dimension.interval] < key < end]
    return [(key, label(dimension, key, query.zone)) for key in found]


# About it


def _about(query: Query, figures: Figures) -> About:
    include = query.include
    return About(
        total_rows=figures.count() if include.total_rows else UNSET,
        time_labels=[label for _, label in _buckets(query, query.range)]
        if include.time_labels
        else UNSET,
        imports_included=True if include.imports else UNSET,
        metric_warnings=_warnings(query, figures) or UNSET,
    )


def _warnings(query: Query, figures: Figures) -> dict[str, Warned]:
    intervals = query.range.intervals
    is_of_one_day = not intervals or intervals[0][0] // DAY_US == (intervals[-1][1] - 1) // DAY_US
    if not has_visitors(query):
        return {}
    if len(query.sites) > 1:
        warned = Warned("sum_of_sites", OF_SITES)
    elif not is_of_one_day and figures.are_of_days():
        warned = Warned("sum_of_days", OF_DAYS)
    else:
        return {}
    return {each.name: warned for each in query.metrics if VISITORS in each.parts}


def _asked(body: Body, query: Query) -> Asked:
    names = {"metric": body.metrics, "dimension": body.dimensions or []}
    include: dict[str, Any] = {
        name: True
        for name in ("time_labels", "total_rows", "imports")
        if getattr(query.include, name)
    }
    if query.include.comparisons:
        include["comparisons"] = query.include.comparisons
    return Asked(
        site_id=body.site_id,
        metrics=body.metrics,
        date_range=query.range.ends,
        filters=body.filters or [],
        dimensions=body.dimensions or [],
        order_by=[(names[each.of][each.number], each.direction) for each in query.order],
        include=include,
        pagination={"limit": query.limit, "offset": query.offset},
        tz=query.zone,
        bots=query.bots,
        comparison_date_range=query.compared.ends if query.compared else UNSET,
    )
