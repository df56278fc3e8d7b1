"""A part as it is remembered: its size does not depend on what it was made of."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from compactor.lake.footer import Counts, Footer
from compactor.lake.format import Part
from compactor.lake.numbers import Numbers
from report.snapshot.rows_by_date import RowsByDate
from report.terms.period import Dates

Source = Callable[[Part], Path]  # where a part's bytes are, for as long as it is there


@dataclass(frozen=True, eq=False, slots=True)
class ListedPart:
    """A part, and what it said of itself when it was found; it may be gone by now."""

    part: Part
    number: int  # its own for the life of the process
    version: int  # of the format that it was written in
    rows: RowsByDate
    counts: Counts  # of all its dates
    sites: tuple[str, str] | None  # from the first to the last; None: of any
    segments: tuple[str, str]  # the least and the greatest id among those that it names
    absorbed: Numbers  # other segments, see Footer; as bounded as there
    supersedes: Numbers

    @classmethod
    def of(cls, part: Part, footer: Footer, number: int) -> "ListedPart":
        return cls(
            part,
            number,
            footer.version,
            RowsByDate(footer.dates),
            footer.total,
            footer.sites,
            (footer.segments[0], footer.segments[-1]) if footer.segments else ("", ""),
            footer.absorbed,
            footer.supersedes,
        )

    def is_within(self, dates: Dates) -> bool:
        return dates.has_all(self.part.first, self.part.last)

    def meets(self, dates: Dates) -> bool:
        return dates.meets(self.part.first, self.part.last)

    def may_have(self, site: str) -> bool:
        return self.sites is None or self.sites[0] <= site <= self.sites[1]


def bits(parts: Iterable[ListedPart]) -> int:
    """The set of their numbers, as an integer: 365 parts are 46 bytes."""
    numbers = [each.number for each in parts]
    held = bytearray(max(numbers, default=-1) // 8 + 1)
    for number in numbers:
        held[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(held, "little")
