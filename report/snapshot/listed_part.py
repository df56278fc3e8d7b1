"""A part as it is remembered: sums, so that its size does not depend on what it was made of."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from compactor.lake.format import Counts, Footer, Part

Source = Callable[[Part], Path]  # where a part's bytes are, for as long as it is there


@dataclass(frozen=True, eq=False, slots=True)
class ListedPart:
    """A part, and what it said of itself when it was found; it may be gone by now."""

    part: Part
    number: int  # its own for the life of the process
    version: int  # of the format that it was written in
    counts: Counts  # of all its segments
    erased: int
    first_segment: str  # the least and the greatest id among those that it names
    last_segment: str
    has_superseded: bool  # others, whose rows it has

    @classmethod
    def of(cls, part: Part, footer: Footer, number: int) -> "ListedPart":
        return cls(
            part,
            number,
            footer.version,
            total(footer.segments.values()),
            footer.erased,
            footer.first_segment,
            footer.last_segment,
            bool(footer.supersedes),
        )

    @property
    def date(self) -> date:
        return self.part.date

    @property
    def rows(self) -> int:
        """How many it holds."""
        return self.counts.rows - self.erased


def total(counts: Iterable[Counts]) -> Counts:
    lines = rows = duplicates = quarantined = 0
    for each in counts:
        lines += each.lines
        rows += each.rows
        duplicates += each.duplicates
        quarantined += each.quarantined
    return Counts(lines, rows, duplicates, quarantined)


def bits(parts: Iterable[ListedPart]) -> int:
    """The set of their numbers, as an integer: 365 parts are 46 bytes."""
    numbers = [each.number for each in parts]
    held = bytearray(max(numbers, default=-1) // 8 + 1)
    for number in numbers:
        held[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(held, "little")
