"""What dates need once their events are in: they become one part, and move out when it is time."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

from compactor.jobs.consolidate import consolidate
from compactor.jobs.expire import doubt, expire, is_expired
from compactor.lake.disk import CannotExchange, Disk
from compactor.lake.format import PartNames, UnreadablePart
from compactor.lake.listing import Lake
from compactor.lake.lock import Busy
from compactor.obstacles import Obstacles
from compactor.plan import DatePart, plan_merges
from compactor.segments.quarantine import Quarantine
from compactor.settings import Settings
from ingest.segment import list_segments, spool_folder

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

        # Dates to look at, and when to list them again
        self._dates: deque[date] = deque()
        self._due: set[date] = set()  # of those, to be moved out
        self._look_at = 0.0

        # Found out once; said once, until it is otherwise
        self._can_exchange: bool | None = None
        self._busy = False
        self._doubted: str | None = None

    def look(self, everything: bool) -> None:
        """All dates now and then, but one rewrite a turn: what waits in the spool comes first."""
        if everything or time.monotonic() >= self._look_at:
            self._quarantine.count_again()
            self._due = self._believed(self.due())
            self._dates = deque(sorted({*self._lake.dates(), *self._due}))
            self._look_at = time.monotonic() + LOOK_INTERVAL_S
        try:
            while self._dates:
                self._check()
                if self._look_at_date(self._dates.popleft()) and not everything:
                    return
        except Busy as error:
            self._dates.clear()
            if not self._busy:
                logger.warning("dates stay as they are, a reader shares the lock: %s", error)
            self._busy = True

    def _look_at_date(self, day: date) -> bool:
        """Was there much to be done?"""
        closed_at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(
            days=1, hours=self._settings.close_after_h
        )
        try:
            self._remove_superseded(day)
            if day in self._due:
                return bool(self.expire(day))
            return self._now() >= closed_at and self._consolidate(day)
        except UnreadablePart as error:
            self._obstacles.meet(error)
            return False
        finally:
            self._lake.forget(day)

    def _remove_superseded(self, day: date) -> None:
        """What a backup that was copied back without deleting has twice."""
        if len(self._lake.files(day)) < 2:
            return
        parts = self._lake.superseded(day)
        if parts:
            self._lake.store.remove(parts)
            logger.warning("removed %d parts of %s that others supersede", len(parts), day)

    # Closed dates

    def _consolidate(self, day: date) -> bool:
        if len(self._lake.files(day)) < 2 or not self.can_exchange():
            return False
        held = [DatePart(part, self._lake.footer(part).rows) for part in self._lake.parts(day)]
        groups = plan_merges(held, int(self._clock() * 1000))
        if groups:
            try:
                self._disk.sync_folder(self._spool)  # what is gone from it does not come back
                present = list_segments(self._spool)
                consolidate(self._lake, day, groups, present, self._next_name, self._check)
                logger.info("consolidated %s: %s parts", day, _sizes(groups))
                self._busy = False
            except CannotExchange as error:  # of this folder, though of two empty ones it can
                self._say_cannot_exchange(error)
        return bool(groups)

    def can_exchange(self) -> bool:
        """Can this file system do what a rewrite ends with? Tried once, before any is begun."""
        if self._can_exchange is None:
            self._can_exchange = self._lake.store.can_replace()
            if not self._can_exchange:
                self._say_cannot_exchange(CannotExchange(self._settings.data_dir))
        return self._can_exchange

    def _say_cannot_exchange(self, error: CannotExchange) -> None:
        logger.warning("%s: dates keep their parts, and nothing can be erased", error)
        self._can_exchange = False

    # Retention

    def due(self) -> list[date]:
        """Dates past their retention."""
        keep = self._settings.retention_days
        days = sorted({*self._lake.dates(), *self._quarantine.dates()}) if keep else []
        return [day for day in days if is_expired(day, self._now().date(), keep)]

    def to_restore(self) -> list[date]:
        """Dates that moved out and, by today's clock, should not have."""
        keep, today = self._settings.retention_days, self._now().date()
        return [d for d in self._lake.retired_dates() if not keep or not is_expired(d, today, keep)]

    def doubt(self, due: Sequence[date]) -> str | None:
        """Why the clock is not believed by which these dates are due."""
        return doubt(self._lake, due, self._now().date()) if due else None

    def expire(self, day: date) -> int:
        """Move a date out; returns how many files. Raises UnreadablePart, Busy."""
        moved = expire(self._lake, self._spool, self._quarantine, day, self._disk)
        if moved:
            logger.info("moved %s out of the lake: %d files", day, moved)
        return moved

    def _believed(self, due: list[date]) -> set[date]:
        """A clock that is ahead, for one turn, must not empty the lake."""
        doubted = self.doubt(due)
        if doubted and not self._doubted:
            logger.error("no date is moved out: %s. If that is right: expire --force", doubted)
        self._doubted = doubted
        return set() if doubted else set(due)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _sizes(groups: Sequence[Sequence[object]]) -> str:
    return " + ".join(str(len(group)) for group in groups)
