"""Decides which parts of a year are settled, and into what. Reads no clock and touches no disk.

The settled parts of a year share its dates out among themselves: a date belongs to the last one
that begins at it or before, or to the first one. What is behind the last one belongs to it, too,
until it has PART_ROWS_MAX rows: then a new one begins. So files grow with rows, not with dates.

    dates that closed      settle at once, with the part that they belong to
    rows that come later   wait until they are a quarter of it, or many parts, or a day old: a
                           trickle costs one rewrite a day
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from compactor.lake.format import Part

PART_ROWS_MAX = 4_000_000
MERGE_PARTS_MAX = 250  # all of them are open at once
LATE_PARTS_MAX = 16
LATE_MS_MAX = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class HeldPart:
    """A part, and how many rows it has of each date."""

    part: Part
    rows: Mapping[date, int]
    is_fixed: bool = False  # it has to stay as it is, for it cannot be read


@dataclass(frozen=True, slots=True)
class Merge:
    """Settled parts that are written anew: the rows of some parts, of the dates of each of `cuts`.

    A date with more than PART_ROWS_MAX rows has a cut of its own, and is for who writes it to cut
    by site.
    """

    parts: list[Part]
    cuts: list[tuple[date, date]]


@dataclass(eq=False, slots=True)
class _Stretch:
    """Dates that are, or will be, in the same settled part, or in several of one date."""

    settled: list[HeldPart] = field(default_factory=list)
    recent: list[HeldPart] = field(
        default_factory=list
    )  # that have rows of it, and maybe of others

    @property
    def is_full(self) -> bool:
        return self.is_fixed or _rows(self.settled) >= PART_ROWS_MAX

    @property
    def is_fixed(self) -> bool:
        return any(held.is_fixed for held in self.settled)

    @property
    def last(self) -> date:
        return max((held.part.last for held in self.settled), default=date.min)


def _rows(many: Iterable[HeldPart]) -> int:
    return sum(sum(held.rows.values()) for held in many)


class _Year:
    """The stretches of a year, first to last, and the dates at which they begin."""

    def __init__(self, settled: Sequence[HeldPart], recent: Sequence[HeldPart]) -> None:
        self.stretches: list[_Stretch] = []
        self.firsts: list[date] = []
        for held in sorted(settled, key=lambda held: held.part.first):
            if not self.stretches or held.part.first > self.stretches[-1].last:
                self._begin(held.part.first)
            self.stretches[-1].settled.append(held)
        last = self.stretches[-1] if self.stretches else _Stretch()
        behind = [day for held in recent for day in held.rows if day > last.last]
        if behind and (not self.stretches or last.is_full):
            self._begin(min(behind))
        for held in recent:
            for stretch in self.of(held):
                stretch.recent.append(self._within(held, stretch))

    def _begin(self, first: date) -> None:
        self.stretches.append(_Stretch())
        self.firsts.append(first)

    def of(self, held: HeldPart) -> list[_Stretch]:
        """The stretches that its dates belong to."""
        return [self.stretches[n] for n in sorted({self._place(day) for day in held.rows})]

    def _within(self, held: HeldPart, stretch: _Stretch) -> HeldPart:
        days = (day for day in held.rows if self.stretches[self._place(day)] is stretch)
        return HeldPart(held.part, {day: held.rows[day] for day in days})

    def _place(self, day: date) -> int:
        return max(0, bisect_right(self.firsts, day) - 1)


def plan_settling(
    settled: Sequence[HeldPart], recent: Sequence[HeldPart], now_ms: int
) -> list[Merge]:
    """What to write anew of a year, in one step; nothing when it is not worth it.

    `recent`: parts of closed dates, oldest first, none of whose segments can come back. A part is
    merged with all of its rows or not at all, so it may take a stretch with it that could wait.
    """
    if not recent:
        return []
    year = _Year(settled, recent)
    recent = [held for held in recent if not any(s.is_fixed for s in year.of(held))]
    due = {held.part for s in year.stretches for held in s.recent if _is_due(held, s, now_ms)}
    chosen = [held.part for held in recent if held.part in due][:MERGE_PARTS_MAX]
    anew = [s for s in year.stretches if any(held.part in chosen for held in s.recent)]
    for held in recent:
        if held.part not in due and len(chosen) < MERGE_PARTS_MAX:
            chosen += [held.part] if all(s in anew for s in year.of(held)) else []
    return [_merge(s.settled, [held for held in s.recent if held.part in chosen]) for s in anew]


def _is_due(held: HeldPart, stretch: _Stretch, now_ms: int) -> bool:
    """Has it a date that closed, or is it worth it for what came later?"""
    if any(day > stretch.last for day in held.rows):
        return True
    late = [each for each in stretch.recent if all(day <= stretch.last for day in each.rows)]
    return (
        len(late) >= LATE_PARTS_MAX
        or _rows(late) * 4 >= _rows(stretch.settled)
        or now_ms - min(each.part.created_ms for each in late) >= LATE_MS_MAX
    )


def _merge(settled: Sequence[HeldPart], recent: Sequence[HeldPart]) -> Merge:
    rows: Counter[date] = Counter()
    for held in (*settled, *recent):
        rows.update(held.rows)
    return Merge([held.part for held in (*settled, *recent)], list(_cuts(sorted(rows.items()))))


def _cuts(rows: Iterable[tuple[date, int]]) -> Iterator[tuple[date, date]]:
    """Between dates, so that none has more than PART_ROWS_MAX rows but those of one date."""
    first = last = None
    total = 0
    for day, count in rows:
        if first is not None and last is not None and total + count > PART_ROWS_MAX:
            yield first, last
            first, total = None, 0
        first, last, total = first or day, day, total + count
    if first is not None and last is not None:
        yield first, last
