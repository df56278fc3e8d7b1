"""Which parts the lake has: a folder's listing is kept for as long as it does not change."""

import errno
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from compactor.lake.format import Footer, Lake, Part, parse_folder, parse_part, read_footer
from report.terms.period import Dates

logger = logging.getLogger("report.snapshot.lake_listing")

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


@dataclass(frozen=True, slots=True)
class Found:
    """A part, and what it said of itself when it was found: it may be gone by now."""

    part: Part
    footer: Footer
    rows: int


Hold = Callable[[Sequence[Part]], None]


class Parts:
    """May be used by several threads: what they share are single entries of dictionaries."""

    def __init__(self, lake: Lake) -> None:
        # Fixed for the life of the process
        self._lake = lake

        # Listings by the folder's stamp; what is no part, by its path below the folder of events
        self._dates: tuple[Stamp, list[date]] | None = None
        self._parts: dict[date, tuple[Stamp, list[Found]]] = {}
        self.foreign: dict[str, str] = {}

        # Of each date's last listing, kept or not: a footer is read once
        self._found: dict[date, dict[str, Found]] = {}

    def of(self, dates: Dates, hold: Hold = lambda parts: None) -> list[Found]:
        """The parts of these dates, each date's held as soon as they are found.

        Raises FileNotFoundError when some go away again and again before they can be held.
        """
        return [found for day in self.dates(dates) for found in self._held(day, hold)]

    def _held(self, day: date, hold: Hold) -> list[Found]:
        for _ in range(TRIES_MAX):
            try:
                found = self._of_date(day)
                hold([each.part for each in found])
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
        if self._dates is None or self._dates[0] != stamp:
            days = sorted(self._list_dates())
            self._dates = None
            if settled:
                self._dates = (stamp, days)
            return days
        return self._dates[1]

    def _list_dates(self) -> Iterable[date]:
        names = os.listdir(self._lake.events)
        self._forget(set(names), "")
        for name in names:
            day = parse_folder(name)
            if day is None:
                self._is_foreign(name, "not a folder of a date")
            else:
                yield day

    def _of_date(self, day: date) -> list[Found]:
        folder = self._lake.date_folder(day)
        try:
            stamp, settled = Stamp.of(folder)
        except FileNotFoundError:
            return []
        known = self._parts.get(day)
        if known is None or known[0] != stamp:
            found = self._list_parts(day, folder)
            self._parts.pop(day, None)
            if settled:
                self._parts[day] = (stamp, found)
            return found
        return known[1]

    def _list_parts(self, day: date, folder: Path) -> list[Found]:
        names = os.listdir(folder)
        self._forget({f"{folder.name}/{name}" for name in names}, folder.name + "/")
        known = self._found.get(day, {})
        found = {
            name: each
            for name in sorted(names)
            if (each := known.get(name) or self._find(day, name))
        }
        self._found[day] = found
        superseded = {name for each in found.values() for name in each.footer.supersedes}
        return [each for name, each in found.items() if name not in superseded]

    def _find(self, day: date, name: str) -> Found | None:
        part = parse_part(day, name)
        if part is None:
            self._is_foreign(f"date={day}/{name}", "not the name of a part")
            return None
        try:
            footer = read_footer(self._lake.path(part))
            return Found(part, footer, footer.rows)
        except (ValueError, KeyError, TypeError) as error:
            self._is_foreign(part.path, f"not a part: {error!r}")
            return None
        except OSError as error:
            if error.errno not in (None, errno.EISDIR):  # None: Arrow on a torn footer
                raise  # the disk's trouble, or it has gone: not the file's fault
            self._is_foreign(part.path, f"not a part: {error!r}")
            return None

    def _is_foreign(self, path: str, reason: str) -> None:
        if path not in self.foreign:
            logger.warning("left out of every answer: %s is %s", path, reason)
            self.foreign[path] = reason

    def _forget(self, present: set[str], prefix: str) -> None:
        """What was foreign and has been taken away."""
        for path in list(self.foreign):
            ours = path.startswith(prefix) and "/" not in path[len(prefix) :]
            if ours and path not in present:
                self.foreign.pop(path, None)
