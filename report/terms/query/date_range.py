"""The dates of a question, and those that they are compared with.

    day              today                        24h      the last 24 hours
    Nd               the N days before today      month    this month, year: this year
    Nmo              the N months before this     all      from the first event to today
    [first, last]    dates, both included, or instants (RFC 3339), the last second included

All are dates of the zone's calendar, so a day has 23 hours where a clock goes forward.

What goes before: of calendar months and years as many of them, of days as many days, of instants
as many seconds. A range that is not over yet is compared with what went before up to the same date
and time of day. A year earlier has the same dates (29 February: the 28th).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from report.terms.buckets import Interval as Bucket
from report.terms.period import EARLIEST, LATEST, ONE_DAY, Dates, Period
from report.terms.query.wrong import Wrong
from report.terms.zone import (
    DAY_US,
    HOUR_US,
    SECOND_US,
    Stretch,
    local_time,
    midnight,
    stretches,
    to_instant,
)

DAYS_MAX, MONTHS_MAX = 5_000, 100
WORDS = "day, 24h, 7d and any Nd, month, 6mo and any Nmo, year, all, or [first, last]"
PRESENT = ("day", "24h", "month", "year", "all")

Interval = tuple[int, int]  # instants in microseconds, half-open


@dataclass(frozen=True, slots=True)
class Range:
    """Either dates, both included, or instants, half-open."""

    zone: str
    first: date
    last: date
    instants: Interval | None = None
    months: int = 0  # so many whole months of the calendar; 0: days are counted
    until: int | None = None  # an instant at which it is cut short
    is_open: bool = False  # the first event says where it begins

    @property
    def utc_dates(self) -> Dates:
        """Every date that may have rows of it."""
        if self.is_open:
            return Dates()
        return Period(self.first, self.last, self.zone).utc_dates()

    @property
    def stretches(self) -> list[Stretch]:
        """The offsets of the zone over all of it, and some days more."""
        return stretches(
            self.zone, midnight(self.first) - 3 * DAY_US, midnight(self.last) + 3 * DAY_US
        )

    @property
    def intervals(self) -> list[Interval]:
        """The instants that count. Nearly always one interval, see Period."""
        if self.instants:
            found = [self.instants]
        else:
            found = Period(self.first, self.last, self.zone).intervals(self.stretches)
        if self.until is None:
            return found
        cut = ((start, min(end, self.until)) for start, end in found)
        return [(start, end) for start, end in cut if start < end]

    @property
    def ends(self) -> list[str]:
        """As it is told: its first second and its last one, RFC 3339 with the zone's offset."""
        found = self.intervals or [(midnight(self.first), midnight(self.first) + SECOND_US)]
        start, end = found[0][0], found[-1][1] - SECOND_US
        return [local_time(self.zone, each).isoformat(timespec="seconds") for each in (start, end)]

    @property
    def is_of_whole_utc_dates(self) -> bool:
        """No visit is in it by half."""
        return all(start % DAY_US == end % DAY_US == 0 for start, end in self.intervals)

    @property
    def is_of_one_utc_date(self) -> bool:
        found = self.intervals
        return not found or found[0][0] // DAY_US == (found[-1][1] - 1) // DAY_US

    def before(self, now: int) -> "Range":
        """What it is compared with as the previous period."""
        if self.instants:
            start, end = self.instants
            return _of_instants(self.zone, start - (end - start), start)
        if self.months:
            first = add_months(self.first, -self.months)
            return self._compared(first, self.first - ONE_DAY, now, -self.months, 0)
        days = (self.last - self.first).days + 1
        shift = timedelta(days)
        return self._compared(self.first - shift, self.last - shift, now, 0, -days)

    def a_year_earlier(self, now: int) -> "Range":
        if self.instants:
            start, end = (_shifted(self.zone, each, -12, 0) for each in self.instants)
            return _of_instants(self.zone, start, max(end, start + SECOND_US))
        first, last = add_months(self.first, -12), add_months(self.last, -12)
        return self._compared(first, last, now, -12, 0)

    def _compared(self, first: date, last: date, now: int, months: int, days: int) -> "Range":
        """Up to the same time of day, if this one is not over."""
        intervals = self.intervals
        is_over = not intervals or intervals[-1][1] <= now or intervals[0][0] >= now
        until = None if is_over else _shifted(self.zone, now, months, days)
        return Range(self.zone, first, last, until=until)


def add_months(day: date, months: int) -> date:
    """The same day of another month, or its last one."""
    count = day.year * 12 + day.month - 1 + months
    year, month = divmod(count, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return date(year, month + 1, min(day.day, (following - ONE_DAY).day))


def read(given: str | Sequence[str], zone: str, now: int, at: str) -> Range:
    """What is asked for at this instant. Raises Wrong."""
    if isinstance(given, str):
        return _within_bounds(_named(given, zone, now, at), at)
    if len(given) != 2:
        raise Wrong(at, "a date_range has a first and a last date")
    if all(re.fullmatch(r"\d{4}-\d\d-\d\d", each) for each in given):
        first, last = (_date(each, f"{at}[{n}]") for n, each in enumerate(given))
        if first > last:
            raise Wrong(at, "the first date is after the last")
        return _within_bounds(Range(zone, first, last), at)
    start, end = (_instant(each, f"{at}[{n}]") for n, each in enumerate(given))
    if start > end:
        raise Wrong(at, "the first instant is after the last")
    return _within_bounds(_of_instants(zone, start, end + SECOND_US), at)


def _named(given: str, zone: str, now: int, at: str) -> Range:
    today = local_time(zone, now).date()
    if given == "day":
        return Range(zone, today, today)
    if given == "24h":
        return _of_instants(zone, now - 24 * HOUR_US, now)
    if given == "month":
        first = today.replace(day=1)
        return Range(zone, first, add_months(first, 1) - ONE_DAY, months=1)
    if given == "year":
        year = today.year
        return Range(zone, date(year, 1, 1), date(year, 12, 31), months=12)
    if given == "all":
        return Range(zone, today, today, is_open=True)
    match = re.fullmatch(r"([1-9]\d{0,3})(d|mo)", given, re.ASCII)
    if match is None:
        raise Wrong(at, f"there is no date_range {given[:40]!r}; there are {WORDS}")
    count, unit = int(match[1]), match[2]
    most = DAYS_MAX if unit == "d" else MONTHS_MAX
    if count > most:
        raise Wrong(at, f"a date_range has at most {most:,}{unit}")
    if unit == "d":
        return Range(zone, today - timedelta(count), today - ONE_DAY)
    first = today.replace(day=1)
    return Range(zone, add_months(first, -count), first - ONE_DAY, months=count)


def _of_instants(zone: str, start: int, end: int) -> Range:
    first, last = (local_time(zone, each).date() for each in (start, end - 1))
    return Range(zone, first, last, instants=(start, end))


def _within_bounds(range: Range, at: str) -> Range:
    # a comparison looks back as far again
    if not EARLIEST + timedelta(366) <= range.first <= range.last <= LATEST - timedelta(366):
        raise Wrong(at, f"dates are from {EARLIEST.year + 2} to {LATEST.year - 2}")
    return range


def _date(given: str, at: str) -> date:
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise Wrong(at, "a date is as 2026-11-25") from None


def _instant(given: str, at: str) -> int:
    try:
        found = datetime.fromisoformat(given)
        if found.tzinfo is not None and EARLIEST.year < found.year < LATEST.year:
            return to_instant(found)
    except (ValueError, OverflowError):
        pass
    raise Wrong(at, "an instant is as 2026-11-25T17:00:00+01:00, and a date as 2026-11-25")


def _shifted(zone: str, instant: int, months: int, days: int) -> int:
    """When the clock showed the same time, so many months and days from then."""
    local = local_time(zone, instant)
    day = add_months(local.date(), months) + timedelta(days)
    shown = datetime.combine(day, time(local.hour, local.minute, local.second, local.microsecond))
    return to_instant(shown.replace(tzinfo=ZoneInfo(zone), fold=local.fold).astimezone(UTC))


def suiting(range: Range) -> Bucket:
    """The interval of `time`: hours of up to two days, days of 40, weeks of a year, else months."""
    start, end = midnight(range.first), midnight(range.last) + DAY_US
    if range.instants:
        start, end = range.instants
    if end - start <= 48 * HOUR_US:
        return "hour"
    if end - start <= 40 * DAY_US:
        return "day"
    return "week" if end - start <= 52 * 7 * DAY_US else "month"
