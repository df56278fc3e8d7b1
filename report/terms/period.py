"""Dates of a time zone: which UTC dates to read for them, and which instants count."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from report.terms.zone import DAY_US, Stretch, midnight

EARLIEST = date(1970, 1, 1)
LATEST = date(2199, 12, 31)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Dates:
    """UTC dates, both ends included; None is an open end."""

    first: date | None = None
    last: date | None = None

    def __contains__(self, day: date) -> bool:
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)

    def meets(self, first: date, last: date) -> bool:
        """Is one of these among them?"""
        return (self.first is None or last >= self.first) and (
            self.last is None or first <= self.last
        )

    def has_all(self, first: date, last: date) -> bool:
        """Are all of these among them?"""
        return first in self and last in self


@dataclass(frozen=True, slots=True)
class Period:
    """Dates of a zone, both ends included; None is an open end.

    An event belongs to the date that the zone's clock showed at its time.
    """

    first: date | None = None
    last: date | None = None
    zone: str = "UTC"

    def utc_dates(self) -> Dates:
        """Every date that may have events of the period."""
        if self.zone == "UTC":
            return Dates(self.first, self.last)
        return Dates(self.first and self.first - ONE_DAY, self.last and self.last + ONE_DAY)

    def intervals(self, stretches: Sequence[Stretch]) -> list[tuple[int, int]]:
        """The instants of the period within the stretches, half-open, oldest first.

        Nearly always one. A clock that went back over midnight showed one date twice.
        """
        found: list[tuple[int, int]] = []
        for stretch in stretches:
            start, end = stretch.start, stretch.end
            if self.first:
                start = max(start, midnight(self.first) - stretch.offset)
            if self.last:
                end = min(end, midnight(self.last) + DAY_US - stretch.offset)
            if found and found[-1][1] == start < end:
                found[-1] = (found[-1][0], end)
            elif start < end:
                found.append((start, end))
        return found
