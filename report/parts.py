"""Which parts the lake has: a folder's listing is kept for as long as it does not change."""

import errno
import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from compactor.lake import Footer, Lake, Part, parse_folder, parse_part
from report.period import Dates

logger = logging.getLogger("report.parts")

# A folder that changed this shortly before it was listed may have changed again within the same
# tick of the clock that stamps it: its listing is not kept.
SETTLED_NS = 1_000_000_000


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


class Parts:
    """May be used by several threads: what they share are single entries of dictionaries."""

    def __init__(self, lake: Lake) -> None:
        # Fixed for the life of the process
        self._lake = lake

        # Listings by the folder's stamp; what is no part, by its path below the folder of events
        self._dates: tuple[Stamp, list[date]] | None = None
        self._parts: dict[date, tuple[Stamp, list[Part]]] = {}
        self.foreign: dict[str, str] = {}
        self._rows: dict[date, dict[Part, int]] = {}

    def of(self, dates: Dates) -> list[Part]:
        """The parts of these dates. Raises FileNotFoundError when one goes away meanwhile."""
        return [part for day in self.dates(dates) for part in self.of_date(day)]

    def dates(self, dates: Dates) -> list[date]:
        """Those that have a folder, first to last."""
        if dates.first and dates.first == dates.last:
            return [dates.first]
        return [day for day in self._all_dates() if day in dates]

    def footer(self, part: Part) -> Footer:
        return self._lake.footer(part)

    def rows(self, part: Part) -> int:
        of_date = self._rows.setdefault(part.date, {})
        if part not in of_date:
            of_date[part] = self.footer(part).rows
        return of_date[part]

    def path(self, part: Part) -> Path:
        return self._lake.path(part)

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

    def of_date(self, day: date) -> list[Part]:
        folder = self._lake.date_folder(day)
        try:
            stamp, settled = Stamp.of(folder)
        except FileNotFoundError:
            return []
        known = self._parts.get(day)
        if known is None or known[0] != stamp:
            parts = self._list_parts(day, folder)
            self._parts.pop(day, None)
            if settled:
                self._parts[day] = (stamp, parts)
            return parts
        return known[1]

    def _list_parts(self, day: date, folder: Path) -> list[Part]:
        names = os.listdir(folder)
        self._rows.pop(day, None)
        self._lake.forget(day)  # or the footers of parts that have gone would stay in memory
        self._forget({f"{folder.name}/{name}" for name in names}, folder.name + "/")
        parts = [part for name in sorted(names) if (part := self._part(day, name))]
        superseded = {name for part in parts for name in self.footer(part).supersedes}
        return [part for part in parts if part.name not in superseded]

    def _part(self, day: date, name: str) -> Part | None:
        part = parse_part(day, name)
        if part is None:
            self._is_foreign(f"date={day}/{name}", "not the name of a part")
            return None
        try:
            self.footer(part)
        except (ValueError, KeyError, TypeError) as error:
            self._is_foreign(part.path, f"not a part: {error!r}")
            return None
        except OSError as error:
            if error.errno not in (None, errno.EISDIR):  # None: Arrow on a torn footer
                raise  # the disk's trouble, or it has gone: not the file's fault
            self._is_foreign(part.path, f"not a part: {error!r}")
            return None
        return part

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
