"""Which segments of the spool a part has rows of: known for those that are in the spool.

A recent part names every segment that it was made of, a settled one has whole ranges absorbed. One
matters for as long as it can still be in the spool. Ids are in the order in which segments were
opened, and a writer's numbers ascend, so hardly a part has to be asked: those that reach into what
the spool holds now.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from compactor.lake.footer import read_footer, writer_and_number
from compactor.lake.numbers import Numbers, has
from report.snapshot.listed_part import ListedPart, Source
from report.snapshot.segment_tail import SeenSegment
from report.terms.period import Dates


@dataclass(frozen=True, slots=True)
class Asked:
    """What a footer said of some segments."""

    segments: frozenset[str]
    named: frozenset[str]  # of these


NOTHING = Asked(frozenset(), frozenset())


class InSpool:
    """The segments of a look at the spool."""

    def __init__(self, segments: Sequence[SeenSegment]) -> None:
        self.by_id = {each.id: each for each in sorted(segments, key=lambda each: each.id)}
        self.ids = list(self.by_id)
        self._least: dict[str, int] = {}  # numbers, by writer
        for writer, number in map(writer_and_number, self.ids):
            self._least[writer] = min(number, self._least.get(writer, number))

    def within(self, first: str, last: str) -> list[str]:
        return self.ids[bisect_left(self.ids, first) : bisect_right(self.ids, last)]

    def absorbed(self, numbers: Numbers) -> list[str]:
        """Those of writers whose numbers reach so far; hardly ever any."""
        if not any(
            writer in numbers and least <= numbers[writer][-1][1]
            for writer, least in self._least.items()
        ):
            return []
        return [id for id in self.ids if has(numbers, *writer_and_number(id))]


class NamedSegments:
    """May be used by several threads: they share single entries of a dictionary."""

    def __init__(self) -> None:
        self._asked: dict[ListedPart, Asked] = {}

    def covered(
        self, parts: Iterable[ListedPart], segments: Sequence[SeenSegment], source: Source
    ) -> dict[str, set[date]]:
        """The dates that these parts hold of each of these segments, of those that it has.

        Raises FileNotFoundError when a part is gone that has to be asked.
        """
        spool = InSpool(segments)
        self._forget_older(spool.ids[0] if spool.ids else "~")
        if not spool.ids:
            return {}
        covered: dict[str, set[date]] = {}
        for part in parts:
            for id in spool.absorbed(part.absorbed):
                covered.setdefault(id, set()).update(_dates(spool.by_id[id]))
            named = Dates(part.part.first, part.part.last)
            for id in self._named(part, spool, source):
                held = (day for day in _dates(spool.by_id[id]) if day in named)
                covered.setdefault(id, set()).update(held)
        return covered

    def _named(self, part: ListedPart, spool: InSpool, source: Source) -> frozenset[str]:
        within = spool.within(*part.segments)
        if not within:
            return NOTHING.named
        known = self._asked.get(part, NOTHING)
        if not known.segments.issuperset(within):
            asked = frozenset(within)
            named = asked.intersection(read_footer(source(part.part)).segments)
            known = self._asked[part] = Asked(asked, named)
        return known.named.intersection(within)

    def forget(self, numbers: int) -> None:
        """Of the parts with these numbers, given as bits."""
        for part in list(self._asked):
            if numbers >> part.number & 1:
                self._asked.pop(part, None)

    def _forget_older(self, segment: str) -> None:
        """Of parts that are older than all that is in the spool."""
        for part in list(self._asked):
            if part.segments[1] < segment:
                self._asked.pop(part, None)


def _dates(segment: SeenSegment) -> frozenset[date]:
    """Of its rows, and of its damaged lines."""
    return segment.dates | {segment.opened_on}
