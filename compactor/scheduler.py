"""Runs passes when they are worth it: one compactor at a time on a lake, by lock."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from compactor.allocator import release
from compactor.jobs.compact import Compactor, Outcome
from compactor.jobs.consolidate import consolidate
from compactor.jobs.expire import doubt, expire, is_expired, restore
from compactor.jobs.view import write_view
from compactor.lake.disk import CannotExchange, Disk
from compactor.lake.format import NewerLake, PartNames, UnreadablePart, read_footer
from compactor.lake.listing import Lake
from compactor.lake.local import LocalStore
from compactor.lake.lock import Busy
from compactor.lake.scratch import Scratch
from compactor.obstacles import Obstacles
from compactor.plan import ClosedSegment, DatePart, Thresholds, is_worth_a_pass, plan, plan_merges
from compactor.segments.orphans import close_orphans, closed_segments
from compactor.segments.quarantine import Quarantine
from compactor.segments.reader import connect
from compactor.settings import Settings
from ingest.segment import SegmentName, list_segments, spool_folder

logger = logging.getLogger("compactor")

TROUBLE_WAIT_S = 5.0
TIDY_INTERVAL_S = 600.0


class Stopped(Exception):
    """Told to stop in the middle of something: it will be repeated."""


class Passes:
    def __init__(
        self,
        settings: Settings,
        stop: threading.Event,
        disk: Disk | None = None,
        clock: Callable[[], float] = time.time,
        next_name: PartNames | None = None,
        database: duckdb.DuckDBPyConnection | None = None,
    ) -> None:
        """Raises OSError when the data folder does not take files."""
        # Fixed for the life of the process
        self._settings = settings
        self._stop = stop
        self.disk = disk or Disk()
        self._clock = clock
        store = LocalStore(settings.data_dir, self.disk, settings.readers_s_max, self._wait)
        self.lake = Lake(store)
        self.spool = spool_folder(settings.data_dir)
        self.quarantine = Quarantine(settings.data_dir, self.disk, settings.quarantine_bytes_max)
        self.next_name = next_name or PartNames(clock)
        if database is None:
            self._scratch = Scratch(settings.data_dir, "compactor")
            database = connect(self._scratch.folder, settings.temp_bytes_max)
        self._database = database
        self._compactor = Compactor(
            self.lake,
            self.spool,
            self.quarantine,
            self.next_name,
            self.disk,
            self._database,
            self._check,
        )
        self._thresholds = Thresholds(settings.pass_bytes_max, settings.pass_age_s_max)
        self.lake.store.prepare()
        self._refuse_newer()

        # Found out once
        self._view_written = False
        self._can_exchange: bool | None = None

        # Said once, until it is otherwise
        self.obstacles = Obstacles()
        self._busy = False
        self._doubted: str | None = None

        # Dates to look at, and when to list them again
        self._to_tidy: deque[date] = deque()
        self._due: set[date] = set()  # of those, to be moved out
        self._tidy_at = 0.0

        # After a pass that failed: one segment at a time, until one succeeds
        self._careful = False

    def _refuse_newer(self) -> None:
        """Before anything of a newer Footfall's lake is touched. Raises NewerLake."""
        if newest := self.lake.newest():
            with suppress(UnreadablePart):
                read_footer(self.lake.store.source(newest))

    def run(self) -> None:
        """Until told to stop. Trouble, a full disk say, costs a repetition and no event."""
        logger.info("watching %s", self.spool)
        while not self._stop.is_set():
            try:
                self.turn(everything=False)
                self._write_view()
            except Stopped:
                break
            except NewerLake:
                raise
            except (OSError, duckdb.Error, pa.ArrowException) as error:
                self._careful = True
                logger.error("the pass failed and will be repeated: %s", error)
                self._stop.wait(TROUBLE_WAIT_S)
            except Exception:  # a mistake of ours: to end would end ingest, too, under honcho
                self._careful = True
                logger.exception("the pass failed and will be repeated")
                self._stop.wait(TROUBLE_WAIT_S)
            self._stop.wait(self._settings.poll_interval_s)

    def run_once(self) -> bool:
        """Everything that waits now. False if something has to wait. Raises what goes wrong."""
        try:
            self.turn(everything=True)
            self._write_view()
        except Stopped:
            logger.warning("stopped before everything was done")
            return False
        return not self.obstacles

    def turn(self, everything: bool) -> None:
        """Close orphans, compact what waits if it is time, and tidy closed dates."""
        with self.lock():
            self.obstacles.forget_mended()
            self._compact_waiting(everything)
            self._tidy(everything)

    def compact_all(self) -> None:
        """What waits in closed segments. Raises Stopped."""
        with self.lock():
            self._compact_waiting(everything=True)

    def expire(self, day: date) -> int:
        """Move a date out of the lake; returns how many files. Raises Stopped, Busy."""
        with self.lock():
            try:
                return self._expire(day)
            except UnreadablePart as error:
                self.obstacles.meet(error)
                return 0

    def restore(self, day: date) -> int:
        """Move a date back into the lake; returns how many files. Raises Stopped, Busy."""
        with self.lock():
            return restore(self.lake, self.quarantine, day, self._database)

    def due(self) -> list[date]:
        """Dates past their retention."""
        keep = self._settings.retention_days
        days = sorted({*self.lake.dates(), *self.quarantine.dates()}) if keep else []
        return [day for day in days if is_expired(day, self.today(), keep)]

    def to_restore(self) -> list[date]:
        """Dates that moved out and, by today's clock, should not have."""
        keep, days = self._settings.retention_days, self.lake.retired_dates()
        return [day for day in days if not keep or not is_expired(day, self.today(), keep)]

    def today(self) -> date:
        """UTC."""
        return self._now().date()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _check(self) -> None:
        """Between two steps: may we go on?"""
        if self._stop.is_set():
            raise Stopped
        self.lake.store.check_turn()

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped

    def _write_view(self) -> None:
        if self._view_written or not self.lake.dates():
            return
        with self.lock():
            write_view(Path(self._settings.data_dir), self.lake.store, self.disk)
            self._view_written = True

    # Segments

    def _compact_waiting(self, everything: bool) -> None:
        self.lake.store.sweep()
        close_orphans(self.spool, self.quarantine, self.disk)
        kept_back = self.obstacles.kept_back
        waiting = [each for each in closed_segments(self.spool) if each.name not in kept_back]
        if everything or self._is_time(waiting):
            self._compact(waiting)

    def _is_time(self, waiting: Sequence[ClosedSegment]) -> bool:
        dates = {segment.name.opened_on for segment in waiting}
        rows_held = sum(map(self._rows_held, dates))
        return is_worth_a_pass(waiting, rows_held, int(self._clock() * 1000), self._thresholds)

    def _rows_held(self, day: date) -> int:
        try:
            return self.lake.rows(day)
        except UnreadablePart:  # said when a pass meets it
            return 0

    def _compact(self, waiting: Sequence[ClosedSegment]) -> None:
        while waiting:
            self._check()
            segments = self._next_pass(waiting)
            if len(segments) < len(waiting):
                self._log_backlog(waiting)
            started = time.monotonic()
            outcome = self._compactor.compact(segments)
            _log(outcome, time.monotonic() - started)
            for error, names in outcome.kept_back:
                self.obstacles.meet(error, names)
            self._careful = False
            done = set(segments)
            waiting = [segment for segment in waiting if segment.name not in done]
        release()

    def _next_pass(self, waiting: Sequence[ClosedSegment]) -> list[SegmentName]:
        """As much as fits even if nothing got smaller; one segment in any case, for it will."""
        free = self.lake.store.free_bytes()
        room = min(free, self._settings.pass_bytes_max)
        if room < self._settings.pass_bytes_max:
            logger.warning("%d bytes are free on the disk: a pass takes less at a time", free)
        if self._careful:
            room = 1
        return plan(waiting, replace(self._thresholds, pass_bytes_max=room))[0]

    def _log_backlog(self, waiting: Sequence[ClosedSegment]) -> None:
        oldest_s = self._clock() - min(segment.closed_ms for segment in waiting) / 1000
        logger.info(
            "behind by %d segments, %d bytes, the oldest closed %.0f s ago",
            len(waiting),
            sum(segment.bytes for segment in waiting),
            oldest_s,
        )

    # Dates

    def _tidy(self, everything: bool) -> None:
        """All dates now and then, but one rewrite a turn: what waits in the spool comes first."""
        if everything or time.monotonic() >= self._tidy_at:
            self.quarantine.count_again()
            self._due = self._believed(self.due())
            self._to_tidy = deque(sorted({*self.lake.dates(), *self._due}))
            self._tidy_at = time.monotonic() + TIDY_INTERVAL_S
        try:
            while self._to_tidy:
                self._check()
                if self._tidy_date(self._to_tidy.popleft()) and not everything:
                    return
        except Busy as error:
            self._to_tidy.clear()
            self._put_off(error)

    def _put_off(self, error: Busy) -> None:
        if not self._busy:
            logger.warning("dates stay as they are for now, a reader shares the lock: %s", error)
        self._busy = True

    def _believed(self, due: list[date]) -> set[date]:
        """A clock that is ahead, for one turn, must not empty the lake."""
        doubted = doubt(self.lake, due, self.today()) if due else None
        if doubted and not self._doubted:
            logger.error("no date is moved out: %s. If that is right: expire --force", doubted)
        self._doubted = doubted
        return set() if doubted else set(due)

    def _tidy_date(self, day: date) -> bool:
        now = self._now()
        try:
            self._remove_superseded(day)
            if day in self._due:
                return bool(self._expire(day))
            if now < _end_of(day) + timedelta(hours=self._settings.close_after_h):
                return False
            return self._consolidate(day)
        except UnreadablePart as error:
            self.obstacles.meet(error)
            return False
        finally:
            self.lake.forget(day)

    def _expire(self, day: date) -> int:
        moved = expire(self.lake, self.spool, self.quarantine, day, self.disk)
        if moved:
            logger.info("moved %s out of the lake: %d files", day, moved)
        return moved

    def _consolidate(self, day: date) -> bool:
        if len(self.lake.files(day)) < 2 or not self.can_exchange():
            return False
        held = [DatePart(part, self.lake.footer(part).rows) for part in self.lake.parts(day)]
        groups = plan_merges(held, int(self._clock() * 1000))
        if groups:
            try:
                self.disk.sync_folder(self.spool)  # what is gone from it does not come back
                present = list_segments(self.spool)
                consolidate(self.lake, day, groups, present, self.next_name, self._check)
                logger.info("consolidated %s: %s parts", day, _sizes(groups))
                self._busy = False
            except CannotExchange as error:  # of this folder, though of two empty ones it can
                self._say_cannot_exchange(error)
        return bool(groups)

    def _remove_superseded(self, day: date) -> None:
        """What a backup that was copied back without deleting has twice."""
        if len(self.lake.files(day)) < 2:
            return
        parts = self.lake.superseded(day)
        if parts:
            self.lake.store.remove(parts)
            logger.warning("removed %d parts of %s that others supersede", len(parts), day)

    def can_exchange(self) -> bool:
        """Can this file system do what a rewrite ends with? Tried once, before any is begun."""
        if self._can_exchange is None:
            self._can_exchange = self.lake.store.can_replace()
            if not self._can_exchange:
                self._say_cannot_exchange(CannotExchange(self._settings.data_dir))
        return self._can_exchange

    def _say_cannot_exchange(self, error: CannotExchange) -> None:
        logger.warning("%s: dates keep their parts, and nothing can be erased", error)
        self._can_exchange = False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Our turn on the lake, once it comes. Raises Stopped if we are to stop first."""
        with self.lake.store.turn(self._wait):
            yield


def _end_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def _sizes(groups: Sequence[Sequence[object]]) -> str:
    return " + ".join(str(len(group)) for group in groups)


def _log(outcome: Outcome, seconds: float) -> None:
    logger.info(
        "compacted %d segments, %d bytes: %d rows, %d duplicates, %d quarantined; "
        "%d parts, %d bytes, in %.2f s",
        outcome.segments,
        outcome.bytes_read,
        outcome.rows,
        outcome.duplicates,
        outcome.quarantined,
        len(outcome.parts),
        outcome.bytes_written,
        seconds,
    )
