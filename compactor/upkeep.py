"""What a year needs once its events are in: dates settle, and move out when it is time."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime

from compactor.allocator import release
from compactor.jobs.erase import erase_from_quarantine, erase_in
from compactor.jobs.expire import doubt, expire, last_due
from compactor.jobs.settle import settle
from compactor.jobs.subject import Aged
from compactor.lake.disk import CannotExchange, Disk
from compactor.lake.footer import UnreadablePart
from compactor.lake.format import Folder, Part, PartNames
from compactor.lake.listing import Lake
from compactor.lake.lock import Busy
from compactor.obstacles import Obstacles
from compactor.plan import first_open
from compactor.segments.quarantine import Quarantine
from compactor.settings import Settings
from compactor.settling import HeldPart, plan_settling
from ingest.segment import list_segments, spool_folder
from ingest.sites.watched import Watched, started

logger = logging.getLogger("compactor")

LOOK_INTERVAL_S = 600.0


class Upkeep:
    def __init__(
        self,
        settings: Settings,
        lake: Lake,
        quarantine: Quarantine,
        disk: Disk,
        obstacles: Obstacles,
        next_name: PartNames,
        clock: Callable[[], float],
        check: Callable[[], None],
    ) -> None:
        # Fixed for the life of the process
        self._settings = settings
        self._spool = spool_folder(settings.data_dir)
        self._lake = lake
        self._quarantine = quarantine
        self._disk = disk
        self._obstacles = obstacles
        self._next_name = next_name
        self._clock = clock
        self._check = check
        sites = started("compactor", settings.sites)
        self._sites = Watched(settings.sites, sites) if sites else None

        # Folders to look at, and when to list them again
        self._folders: deque[Folder] = deque()
        self._look_at = 0.0
        self._due: date | None = None  # the last date that moves out
        self._aged: dict[Folder, Aged] = {}  # what was erased of it last, for its age

        # Found out once; said once, until it is otherwise
        self._can_exchange: bool | None = None
        self._busy = False
        self._doubted: str | None = None

    def look(self, everything: bool) -> None:
        """All years now and then, but one rewrite a turn: what waits in the spool comes first."""
        if everything or time.monotonic() >= self._look_at:
            self._quarantine.count_again()
            if self._sites:
                self._sites.look()
            self._due = self._believed(self.due())
            self._folders = deque(self.folders())
            self._look_at = time.monotonic() + LOOK_INTERVAL_S
        try:
            while self._folders:
                self._check()
                if not self._look_at_folder(self._folders[0]):
                    self._folders.popleft()
                elif not everything:
                    return
        except Busy as error:
            self._folders.clear()
            if not self._busy:
                logger.warning("years stay as they are, a reader shares the lock: %s", error)
            self._busy = True

    def _look_at_folder(self, folder: Folder) -> bool:
        """Was there much to be done? Then there may be more."""
        try:
            self._remove_superseded(folder)
            return self._expire(folder) or self._erase_aged(folder) or self._settle(folder)
        except UnreadablePart as error:
            self._obstacles.meet(error)
            return False

    def _remove_superseded(self, folder: Folder) -> None:
        """What a backup that was copied back without deleting has twice."""
        parts = self._lake.superseded(folder)
        if parts:
            self._lake.store.remove(parts)
            logger.warning("removed %d parts of %s that others supersede", len(parts), folder.name)

    # Closed dates

    def _settle(self, folder: Folder) -> bool:
        files = self._lake.files(folder)
        closed = [part for part in files if part.is_recent and part.last < self._first_open()]
        if not closed or not self.can_exchange():
            return False
        self._disk.sync_folder(self._spool)  # what is gone from it does not come back
        present = {name.id for name in list_segments(self._spool)}
        held = [self._held(part) for part in files]
        merges = plan_settling(
            [each for each in held if not each.part.is_recent],
            [
                each
                for each in held
                if each.part in closed and self._may_settle(each, held, present)
            ],
            int(self._clock() * 1000),
        )
        if merges:
            try:
                made = settle(self._lake, folder, merges, self._next_name, self._check)
            except CannotExchange as error:  # of this folder, though of two empty ones it can
                self._say_cannot_exchange(error)
                return False
            parts = sum(len(merge.parts) for merge in merges)
            logger.info("settled %s: %d parts became %d", folder.name, parts, len(made))
            release()
            self._busy = False
        return bool(merges)

    def _held(self, part: Part) -> HeldPart:
        """One that cannot be read may have any of its dates."""
        if self._lake.store.source(part) in self._obstacles:
            return HeldPart(part, {part.first: 0, part.last: 0}, is_fixed=True)
        try:
            footer = self._lake.footer(part)
        except UnreadablePart as error:
            self._obstacles.meet(error)
            return HeldPart(part, {part.first: 0, part.last: 0}, is_fixed=True)
        dates = footer.dates.items()
        return HeldPart(part, {day: counts.rows for day, counts in dates if part.meets(day, day)})

    def _may_settle(
        self, one: HeldPart, all: Sequence[HeldPart], present: AbstractSet[str]
    ) -> bool:
        """Not while a segment of it is in the spool: its rows would be stored again."""
        is_kept_back = any(
            each.is_fixed and each.part.meets(one.part.first, one.part.last) for each in all
        )
        return not is_kept_back and not self._lake.footer(one.part).named(present)

    def _first_open(self) -> date:
        return first_open(self._now(), self._settings.close_after_h)

    def can_exchange(self) -> bool:
        """Can this file system do what a rewrite ends with? Tried once, before any is begun."""
        if self._can_exchange is None:
            self._can_exchange = self._lake.store.can_replace()
            if not self._can_exchange:
                self._say_cannot_exchange(CannotExchange(self._settings.data_dir))
        return self._can_exchange

    def _say_cannot_exchange(self, error: CannotExchange) -> None:
        logger.warning("%s: parts stay as many as they are, and nothing can be erased", error)
        self._can_exchange = False

    # Retention

    def last_due(self) -> date | None:
        """The last date that is past its retention; None: every date stays."""
        keep = self._settings.retention_days
        return last_due(self._now().date(), keep) if keep else None

    def due(self) -> list[date]:
        """Dates past their retention."""
        last = self.last_due()
        days = sorted({*self._lake.dates(), *self._quarantine.dates()}) if last else []
        return [day for day in days if last and day <= last]

    def doubt(self, due: Sequence[date]) -> str | None:
        """Why the clock is not believed by which these dates are due."""
        return doubt(self._lake, due, self._now().date()) if due else None

    def expire(self, folder: Folder, last: date) -> list[date]:
        """Move a year's dates out up to this one; returns those that moved.

        Raises UnreadablePart, CannotExchange, Busy.
        """
        moved = expire(
            self._lake,
            folder,
            last,
            self._spool,
            self._quarantine,
            self._next_name,
            self._disk,
            self._check,
        )
        if moved:
            logger.info("moved %s to %s out of the lake", moved[0], moved[-1])
        return moved

    def folders(self) -> list[Folder]:
        """Of all that may have to move."""
        years = {Folder.of_year(day.year) for day in self._quarantine.dates()}
        return sorted({*self._lake.folders(), *years})

    def _believed(self, due: list[date]) -> date | None:
        """A clock that is ahead, for one turn, must not empty the lake."""
        doubted = self.doubt(due)
        if doubted and not self._doubted:
            logger.error("no date is moved out: %s. If that is right: expire --force", doubted)
        self._doubted = doubted
        return max(due, default=None) if not doubted else None

    def _expire(self, folder: Folder) -> bool:
        if self._due is None or self._due < folder.first:
            return False
        try:
            return bool(self.expire(folder, self._due))
        except CannotExchange as error:
            self._say_cannot_exchange(error)
            return False

    def _erase_aged(self, folder: Folder) -> bool:
        """Rows that are too old for their site, by what sites.toml says of it; once a day."""
        aged = self._aged_now()
        if not aged.last or self._aged.get(folder) == aged:
            return False
        try:
            found = erase_in(self._lake, folder, aged, self._next_name)
        except CannotExchange as error:
            self._say_cannot_exchange(error)
            return False
        for trouble in found.unreadable:
            self._obstacles.meet(trouble)
        lines = erase_from_quarantine(self._quarantine, aged)
        self._aged[folder] = aged
        if found.rows or lines:
            logger.info(
                "%s: erased %d rows past the retention_days of their sites, and %d lines in "
                "quarantine",
                folder.name,
                found.count,
                lines,
            )
        return bool(found.rows)

    def _aged_now(self) -> Aged:
        sites = self._sites.sites.by_id.values() if self._sites else ()
        today = self._now().date()
        days = {site.site_id: site.retention_days for site in sites}
        return Aged(
            {id: last_due(today, keep) for id, keep in days.items() if isinstance(keep, int)}
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
