"""What is known of a folder: the names of its parts, and what those say that were asked for."""

from collections.abc import Hashable, Iterable, Sequence

from compactor.lake import numbers
from compactor.lake.format import Part
from report.snapshot.listed_part import ListedPart
from report.terms.period import Dates


class ListedFolder:
    """As of one listing. One thread at a time adds to it; others may read meanwhile."""

    def __init__(self, mark: Hashable | None, parts: Iterable[Part]) -> None:
        # Fixed for its life
        self.mark = mark  # that there was before; None: this listing serves once
        self.parts: Sequence[Part] = tuple(sorted(parts))

        # A footer is read once, when its part is asked for first
        self._known: dict[Part, ListedPart] = {}
        self._unreadable: set[Part] = set()
        self._superseded: frozenset[Part] = frozenset()

    @property
    def known(self) -> Sequence[ListedPart]:
        return list(self._known.values())

    def unknown(self, dates: Dates) -> list[Part]:
        """The parts of these dates whose footers were not read yet."""
        return [
            part
            for part in self.parts
            if part not in self._known
            and part not in self._unreadable
            and dates.meets(part.first, part.last)
        ]

    def add(self, found: Iterable[ListedPart], unreadable: Iterable[Part] = ()) -> None:
        self._unreadable.update(unreadable)
        self._known.update((each.part, each) for each in found)
        gone = numbers.joined(each.supersedes for each in self.known)
        self._superseded = frozenset(
            part for part in self._known if numbers.has(gone, *part.number)
        )

    def of(self, dates: Dates) -> list[ListedPart]:
        """The parts of these dates that can be read, and whose rows no other one has: a copy of an
        older lake brings such parts back. Who has the rows of a date has the date, too."""
        return [
            self._known[part]
            for part in self.parts
            if part in self._known
            and part not in self._superseded
            and dates.meets(part.first, part.last)
        ]
