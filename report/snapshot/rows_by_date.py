"""How many rows a part has of each of its dates, in twelve bytes a date: there are up to 366."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from datetime import date
from itertools import accumulate

from compactor.lake.footer import Counts
from report.terms.period import Dates


class RowsByDate:
    def __init__(self, counts: Mapping[date, Counts]) -> None:
        held = sorted((day.toordinal(), each.rows) for day, each in counts.items() if each.rows)
        self._days = array("i", (day for day, _ in held))
        self._before = array("q", accumulate((rows for _, rows in held), initial=0))

    @property
    def total(self) -> int:
        return self._before[-1]

    def __contains__(self, day: date) -> bool:
        """Are there any?"""
        return self.within(Dates(day, day)) > 0

    def within(self, dates: Dates) -> int:
        start, end = self._ends(dates)
        return self._before[end] - self._before[start]

    def days(self, dates: Dates) -> list[date]:
        """Those of these dates that have rows, first to last."""
        start, end = self._ends(dates)
        return [date.fromordinal(day) for day in self._days[start:end]]

    def span(self, dates: Dates) -> Dates | None:
        """From the first to the last of these; None without any."""
        start, end = self._ends(dates)
        if start == end:
            return None
        return Dates(*(date.fromordinal(self._days[n]) for n in (start, end - 1)))

    def _ends(self, dates: Dates) -> tuple[int, int]:
        start = bisect_left(self._days, dates.first.toordinal()) if dates.first else 0
        end = bisect_right(self._days, dates.last.toordinal()) if dates.last else len(self._days)
        return start, end
