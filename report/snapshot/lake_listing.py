"""Which parts the lake has: a folder's listing is kept for as long as it does not change."""

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path

from compactor.lake.format import Footer, Part, parse_folder, parse_part, read_footer
from compactor.lake.local import LocalStore as Lake
from report.snapshot.listed_part import ListedPart, bits
from report.snapshot.named_segments import NamedSegments
from report.terms.period import Dates

logger = logging.getLogger("report.parts")

# A folder that changed this shortly before it was listed may have changed again within the same
# tick of the clock that stamps it: its listing is not kept.
SETTLED_NS = 1_000_000_000
TRIES_MAX = 3  # of a date: it is consolidated once a day at most


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes with every change of a folder."""

    inode: int
    device: int
    changed_ns: int

    @classmethod
    def of(cls, folder: Path) -> tuple["Stamp", bool]:
        """The stamp, and whether a listing made from now on may be kept under it."""
        now_ns = time.time_ns()
        status = os.stat(folder)
        stamp = cls(status.st_ino, status.st_dev, status.st_mtime_ns)
        return stamp, now_ns - stamp.changed_ns > SETTLED_NS


Hold = Callable[[Sequence[ListedPart]], None]


class LakeListing:
    """May be used by several threads: one lists at a time, and all share what is kept."""

    def __init__(self, lake: Lake) -> None:
        # Fixed for the life of the process
        self._lake = lake
        self._lock = threading.Lock()
        self._numbers = count()

        # Listings by the folder's stamp
        self._dates: tuple[Stamp, list[date]] | None = None
        self._parts: dict[date, tuple[Stamp, list[ListedPart]]] = {}

        # Of each date's last listing, kept or not: a footer is read once
        self._found: dict[date, dict[str, ListedPart]] = {}
        self._named = NamedSegments()
        self.gone = 0  # the numbers of parts that are no longer there, as bits

        # What is no part, by its path below the folder of events
        self.foreign: dict[str, str] = {}

    def of(self, dates: Dates, hold: Hold = lambda parts: None) -> list[ListedPart]:
        """The parts of these dates, each date's held as soon as they are found.

        Raises FileNotFoundError when some go away again and again before they can be held.
        """
        return [listed for day in self.dates(dates) for listed in self._held(day, hold)]

    def covered(
        self, parts: Iterable[ListedPart], segments: Collection[str], lake: Lake
    ) -> dict[str, set[date]]:
        """The dates that these parts, whose files are in `lake`, hold of each of these segments.

        Raises FileNotFoundError when one is gone that has to be asked.
        """
        self._named.forget(self.gone)
        return self._named.covered(parts, sorted(segments), lake)

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
            stamp, settled = Stamp.of(self._lake.events)
        except FileNotFoundError:
            return []
        kept = self._dates
        if kept is not None and kept[0] == stamp:
            return kept[1]
        with self._lock:
            days = sorted(self._list_dates())
            self._dates = (stamp, days) if settled else None
        return days

    def _list_dates(self) -> Iterable[date]:
        names = os.listdir(self._lake.events)
        self._forget_foreign(set(names), "")
        by_name = {name: parse_folder(name) for name in names}
        for gone in self._found.keys() - set(by_name.values()):
            self._forget(gone)
        for name, day in by_name.items():
            if day is None:
                self._is_foreign(name, "not a folder of a date")
            else:
                yield day

    def _of_date(self, day: date) -> list[ListedPart]:
        folder = self._lake.date_folder(day)
        try:
            stamp, settled = Stamp.of(folder)
        except FileNotFoundError:
            with self._lock:
                self._forget(day)
            return []
        kept = self._parts.get(day)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        with self._lock:
            parts = self._list_parts(day, folder)
            self._parts.pop(day, None)
            if settled:
                self._parts[day] = (stamp, parts)
        return parts

    def _list_parts(self, day: date, folder: Path) -> list[ListedPart]:
        names = os.listdir(folder)
        self._forget_foreign({f"{folder.name}/{name}" for name in names}, folder.name + "/")
        known = self._known(day, names)
        found = {
            name: each
            for name in sorted(names)
            if (each := known.get(name) or self._find(day, name, names))
        }
        self.gone |= bits({*self._found.get(day, {}).values()} - {*found.values()})
        self._found[day] = found
        superseded = {name for each in found.values() for name in each.supersedes}
        return [each for name, each in found.items() if name not in superseded]

    def _known(self, day: date, names: Collection[str]) -> dict[str, ListedPart]:
        """What need not be read again."""
        known = self._found.get(day, {})
        if known.keys() >= {*names}:
            return known
        # a superseded part may have been put back: who supersedes it remembers what was there
        return {name: each for name, each in known.items() if not each.has_superseded}

    def _find(self, day: date, name: str, names: Collection[str]) -> ListedPart | None:
        part = parse_part(day, name)
        if part is None:
            self._is_foreign(f"date={day}/{name}", "not the name of a part")
            return None
        footer = self._footer(part)
        if footer is None:
            return None
        return ListedPart.of(part, footer, next(self._numbers), names)

    def _footer(self, part: Part) -> Footer | None:
        try:
            return read_footer(self._lake.path(part))
        except (ValueError, KeyError, TypeError) as error:
            self._is_foreign(part.path, f"not a part: {error!r}")
            return None
        except OSError as error:
            if error.errno not in (None, errno.EISDIR):  # None: Arrow on a torn footer
                raise  # the disk's trouble, or it has gone: not the file's fault
            self._is_foreign(part.path, f"not a part: {error!r}")
            return None

    def _forget(self, day: date) -> None:
        """A date that is no longer there."""
        self._parts.pop(day, None)
        self.gone |= bits(self._found.pop(day, {}).values())

    def _is_foreign(self, path: str, reason: str) -> None:
        if path not in self.foreign:
            logger.warning("left out of every answer: %s is %s", path, reason)
            self.foreign[path] = reason

    def _forget_foreign(self, present: set[str], prefix: str) -> None:
        """What was foreign and has been taken away."""
        for path in list(self.foreign):
            ours = path.startswith(prefix) and "/" not in path[len(prefix) :]
            if ours and path not in present:
                self.foreign.pop(path, None)
