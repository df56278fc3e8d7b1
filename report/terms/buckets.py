"""The buckets of a time series: minutes to quarters of a zone's calendar.

A bucket's key is what DuckDB groups by: the local time at which it starts, in microseconds as if
it were UTC. A clock that goes back shows an hour twice, so the key of an hour, or minute, is the
instant at which it starts; and where a clock changes within an hour, the rest of it is one of its
own, which starts with the change.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Literal

from report.terms.period import ONE_DAY, Period
from report.terms.zone import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    Stretch,
    local_time,
    midnight,
    stretches,
    utc_date,
)

Interval = Literal["minute", "hour", "day", "week", "month", "quarter"]

DAYS_PER_BUCKET = {
    "minute": 1 / 1440,
    "hour": 1 / 24,
    "day": 1,
    "week": 7,
    "month": 28,
    "quarter": 90,
}
OF_THE_CLOCK = {"minute": MINUTE_US, "hour": HOUR_US}  # the others are of the calendar


def count_at_most(interval: Interval, first: date, last: date) -> float:
    return ((last - first).days + 1) / DAYS_PER_BUCKET[interval]


def buckets(interval: Interval, period: Period) -> Iterator[tuple[int, str]]:
    """Key and start of every bucket that has days of the period, oldest first; both ends are known.

    The start is RFC 3339, with the offset that the zone had then.
    """
    assert period.first and period.last
    first = first_day(interval, period.first)
    over = stretches(period.zone, midnight(first) - DAY_US, midnight(period.last) + 2 * DAY_US)
    found = (
        _of_the_clock(OF_THE_CLOCK[interval], period, over)
        if interval in OF_THE_CLOCK
        else _days(interval, first, period.last, over)
    )
    for key, start in found:
        yield key, local_time(period.zone, start).isoformat()


def date_of(interval: Interval, key: int, zone: str) -> date:
    """The local date on which a bucket starts."""
    return local_time(zone, key).date() if interval in OF_THE_CLOCK else utc_date(key)


def key_of(interval: Interval, day: date) -> int:
    """The key of the bucket that has this local date. Not for hours and minutes."""
    return midnight(first_day(interval, day))


def first_day(interval: Interval, day: date) -> date:
    """The first day of the bucket that has this day. Weeks are those of ISO 8601."""
    if interval == "week":
        return day - timedelta(days=day.weekday())
    if interval == "quarter":
        return day.replace(month=day.month - (day.month - 1) % 3, day=1)
    return day.replace(day=1) if interval == "month" else day


def _days(
    interval: Interval, first: date, last: date, over: Sequence[Stretch]
) -> Iterator[tuple[int, int]]:
    day = first
    while day <= last:
        key = midnight(day)
        start, offset = _first_instant(key, over)
        if interval != "day" or start + offset < key + DAY_US:  # else its zone left the day out
            yield key, start
        day = _next(interval, day)


def _next(interval: Interval, day: date) -> date:
    if interval in ("month", "quarter"):
        days = 31 if interval == "month" else 3 * 31
        return (day + timedelta(days=days)).replace(day=1)
    return day + (timedelta(days=7) if interval == "week" else ONE_DAY)


def _first_instant(shown: int, over: Sequence[Stretch]) -> tuple[int, int]:
    """The first instant at which the clock shows this local time or a later one, and its offset."""
    for stretch in over:
        start = max(stretch.start, shown - stretch.offset)
        if start < stretch.end:
            return start, stretch.offset
    raise AssertionError("the stretches end before the period does")


def _of_the_clock(
    length: int, period: Period, over: Sequence[Stretch]
) -> Iterator[tuple[int, int]]:
    for stretch in over:
        for start, end in period.intervals([stretch]):
            bucket = (start + stretch.offset) // length * length - stretch.offset
            while bucket < end:
                key = max(bucket, start)
                yield key, key
                bucket += length


def key_sql(interval: Interval, over: Sequence[Stretch]) -> str:
    """The SQL for the key of an event's bucket. Has no text of a request in it."""
    offset = _by_stretch(over, [each.offset for each in over])
    local = f"""make_timestamp(epoch_us("timestamp") + {offset})"""
    key = f"epoch_us(date_trunc('{interval}', {local}))"
    if interval not in OF_THE_CLOCK:
        return key
    length = OF_THE_CLOCK[interval]
    if all((each.start + each.offset) % length == 0 for each in over[1:]):
        return f"{key} - {offset}"
    # An hour that a change cut short starts with the change. What `over` starts with is no change
    starts = [over[0].start - length, *(each.start for each in over[1:])]
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
