"""Which parts the lake has: a folder's listing is kept for as long as it does not change."""

import threading
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from datetime import date
from itertools import count

from compactor.lake.format import (
    UnreadablePart,
    parse_folder,
    parse_part,
    read_footer,
    superseded,
)
from compactor.lake.store import Store
from report.snapshot.foreign_files import ForeignFiles
from report.snapshot.listed_part import ListedPart, Source, bits
from report.snapshot.named_segments import NamedSegments
from report.terms.period import Dates

TRIES_MAX = 3  # of a date: it is consolidated once a day at most


Hold = Callable[[Sequence[ListedPart]], None]


class LakeListing:
    """May be used by several threads: one lists at a time, and all share what is kept."""

    def __init__(self, store: Store) -> None:
        # Fixed for the life of the process
        self._store = store
        self._lock = threading.Lock()
        self._numbers = count()

        # Listings, with the mark that there was before
        self._dates: tuple[Hashable, list[date]] | None = None
        self._parts: dict[date, tuple[Hashable, list[ListedPart]]] = {}

        # Of each date's last listing, kept or not: a footer is read once
        self._found: dict[date, dict[str, ListedPart]] = {}
        self._named = NamedSegments()
        self.gone = 0  # the numbers of parts that are no longer there, as bits

        self._foreign = ForeignFiles()

    @property
    def foreign(self) -> dict[str, str]:
        """What is no part, and why not, by its path below the folder of events."""
        return self._foreign.reasons

    def of(self, dates: Dates, hold: Hold = lambda parts: None) -> list[ListedPart]:
        """The parts of these dates, each date's held as soon as they are found.

        Raises FileNotFoundError when some go away again and again before they can be held.
        """
        return [listed for day in self.dates(dates) for listed in self._held(day, hold)]

    def covered(
        self, parts: Iterable[ListedPart], segments: Collection[str], source: Source
    ) -> dict[str, set[date]]:
        """The dates that these parts hold of each of these segments.

        Raises FileNotFoundError when one is gone that has to be asked.
        """
        self._named.forget(self.gone)
        return self._named.covered(parts, sorted(segments), source)

    def _held(self, day: date, hold: Hold) -> list[ListedPart]:
        for _ in range(TRIES_MAX):
            try:
                found = self._of_date(day)
                hold(found)
                return found
            except FileNotFoundError as error:  # the date was consolidated in this moment
                gone = error
        raise gone

    def dates(self, dates: Dates) -> list[date]:
        """Those that have a folder, first to last."""
        if dates.first and dates.first == dates.last:
            return [dates.first]
        return [day for day in self._all_dates() if day in dates]

    def _all_dates(self) -> list[date]:
        try:
            mark = self._store.mark()
        except FileNotFoundError:
            return []
        kept = self._dates
        if kept is not None and kept[0] == mark:
            return kept[1]
        with self._lock:
            days = sorted(self._list_dates())
            self._dates = None if mark is None else (mark, days)
        return days

    def _list_dates(self) -> Iterable[date]:
        names = self._store.names()
        self._foreign.keep("", names)
        by_name = {name: parse_folder(name) for name in names}
        for gone in self._found.keys() - set(by_name.values()):
            self._forget(gone)
        for name, day in by_name.items():
            if day is None:
                self._foreign.add(name, "not a folder of a date")
            else:
                yield day

    def _of_date(self, day: date) -> list[ListedPart]:
        try:
            mark = self._store.mark(day)
        except FileNotFoundError:
            with self._lock:
                self._forget(day)
            return []
        kept = self._parts.get(day)
        if kept is not None and kept[0] == mark:
            return kept[1]
        with self._lock:
            parts = self._list_parts(day)
            self._parts.pop(day, None)
            if mark is not None:
                self._parts[day] = (mark, parts)
        return parts

    def _list_parts(self, day: date) -> list[ListedPart]:
        names = self._store.names(day)
        self._foreign.keep(f"date={day}", names)
        known = self._found.get(day, {})
        found = {name: each for name in names if (each := known.get(name) or self._find(day, name))}
        gone = self._superseded(found)
        self.gone |= bits({*known.values()} - {*found.values()})
        self._found[day] = found
        return [each for name, each in found.items() if name not in gone]

    def _find(self, day: date, name: str) -> ListedPart | None:
        part = parse_part(day, name)
        if part is None:
            self._foreign.add(f"date={day}/{name}", "not the name of a part")
            return None
        try:
            footer = read_footer(self._store.source(part))
        except UnreadablePart as error:
            self._foreign.add(part.path, f"not a part: {error.__cause__!r}")
            return None
        return ListedPart.of(part, footer, next(self._numbers))

    def _superseded(self, found: Mapping[str, ListedPart]) -> set[str]:
        """Those of a date whose rows another one has: a copy of an older lake brought them back."""
        if len(found) < 2 or not any(each.has_superseded for each in found.values()):
            return set()
        sources = {name: self._store.source(each.part) for name, each in found.items()}
        return superseded({name: read_footer(source) for name, source in sources.items()})

    def _forget(self, day: date) -> None:
        """A date that is no longer there."""
        self._parts.pop(day, None)
        self.gone |= bits(self._found.pop(day, {}).values())
