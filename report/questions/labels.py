"""How the dimensions of POST /query are told: times by the start of their bucket."""

from typing import Any

from report.questions.figures import Row
from report.terms.buckets import OF_THE_CLOCK, buckets, count_at_most
from report.terms.period import Period
from report.terms.query.date_range import Range
from report.terms.query.dimensions import Dimension
from report.terms.query.request import Query
from report.terms.query.wrong import Wrong
from report.terms.zone import local_time, utc_date

BUCKETS_MAX = 10_000


def labels(query: Query, row: Row) -> list[str]:
    pairs = zip(query.dimensions, row, strict=False)
    return [label(each, value, query.zone) for each, value in pairs]


def label(dimension: Dimension, value: Any, zone: str) -> str:
    if dimension.interval in OF_THE_CLOCK:
        return local_time(zone, value).isoformat()
    if dimension.interval:
        return utc_date(value).isoformat()
    return dimension.absent if value is None else str(value)


def buckets_of(query: Query, dates: Range) -> list[tuple[int, str]]:
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
