"""Which segments of the spool a part has rows of: known for those that are in the spool.

A footer names every segment that its part was made of, thousands of a date. One matters for as
long as it can still be in the spool. Ids are in the order in which segments were opened, so hardly
a part has to be asked: those that reach into what the spool holds now.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from compactor.lake.format import read_footer
from report.snapshot.listed_part import ListedPart, Source


@dataclass(frozen=True, slots=True)
class Asked:
    """What a footer said of some segments."""

    segments: frozenset[str]
    named: frozenset[str]  # of these


NOTHING = Asked(frozenset(), frozenset())


class NamedSegments:
    """May be used by several threads: they share single entries of a dictionary."""

    def __init__(self) -> None:
        self._asked: dict[ListedPart, Asked] = {}

    def covered(
        self, parts: Iterable[ListedPart], segments: Sequence[str], source: Source
    ) -> dict[str, set[date]]:
        """The dates that these parts hold of each of these segments.

        `segments` are sorted ids. Raises FileNotFoundError when a part is gone that has to be
        asked.
        """
        self._forget_older(segments[0] if segments else "~")
        if not segments:
            return {}
        covered: dict[str, set[date]] = {}
        for part in parts:
            if part.last_segment >= segments[0]:
                for id in self._named(part, segments, source):
                    covered.setdefault(id, set()).add(part.date)
        return covered

    def _named(self, part: ListedPart, segments: Sequence[str], source: Source) -> frozenset[str]:
        start = bisect_left(segments, part.first_segment)
        within = segments[start : bisect_right(segments, part.last_segment)]
        known = self._asked.get(part, NOTHING)
        if not known.segments.issuperset(within):
            footer = read_footer(source(part.part))
            asked = frozenset(within)
            known = self._asked[part] = Asked(asked, frozenset(footer.named(asked)))
        return known.named.intersection(within)

    def forget(self, numbers: int) -> None:
        """Of the parts with these numbers, given as bits."""
        for part in list(self._asked):
            if numbers >> part.number & 1:
                self._asked.pop(part, None)

    def _forget_older(self, segment: str) -> None:
        """Of parts that are older than all that is in the spool."""
        for part in list(self._asked):
            if part.last_segment < segment:
                self._asked.pop(part, None)
