"""Runs passes when they are worth it: one compactor at a time on a lake, by lock."""

import fcntl
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import duckdb
import pyarrow as pa

from compactor.allocator import release
from compactor.jobs.compact import Compactor, Outcome
from compactor.jobs.consolidate import consolidate
from compactor.jobs.expire import expire, is_expired
from compactor.jobs.view import write_view
from compactor.lake.disk import CannotExchange, Disk
from compactor.lake.format import Lake, PartNames
from compactor.lake.publish import prepare, sweep
from compactor.plan import Held, Thresholds, Waiting, is_worth_a_pass, plan, plan_merges
from compactor.segments.orphans import close_orphans, closed_segments
from compactor.segments.quarantine import Quarantine
from compactor.segments.reader import connect
from compactor.settings import Settings
from ingest.segment import SegmentName, spool_folder

logger = logging.getLogger("compactor")

LOCK_POLL_S = 0.1
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
        self.lake = Lake(settings.data_dir)
        self.spool = spool_folder(settings.data_dir)
        self.quarantine = Quarantine(settings.data_dir, self.disk)
        self.next_name = next_name or PartNames(clock)
        self._compactor = Compactor(
            self.lake,
            self.spool,
            self.quarantine,
            self.next_name,
            self.disk,
            database or connect(),
            self._check,
        )
        self._thresholds = Thresholds(settings.pass_bytes_max, settings.pass_age_s_max)
        prepare(self.lake, self.disk)

        # Set when done
        self._view_written = False

        # Dates to look at, and when to list them again
        self._to_tidy: deque[date] = deque()
        self._tidy_at = 0.0

        # After a pass that failed: one segment at a time, until one succeeds
        self._careful = False

    def run(self) -> None:
        """Until told to stop. Trouble, a full disk say, costs a repetition and no event."""
        logger.info("watching %s", self.spool)
        while not self._stop.is_set():
            try:
                self.turn(everything=False)
                self._write_view()
            except Stopped:
                break
            except (OSError, duckdb.Error, pa.ArrowException) as error:
                self._careful = True
                logger.error("the pass failed and will be repeated: %s", error)
                self._stop.wait(TROUBLE_WAIT_S)
            self._stop.wait(self._settings.poll_interval_s)

    def run_once(self) -> None:
        """Everything that waits now. Raises what goes wrong."""
        try:
            self.turn(everything=True)
            self._write_view()
        except Stopped:
            logger.warning("stopped before everything was done")

    def turn(self, everything: bool) -> None:
        """Close orphans, compact what waits if it is time, and tidy closed dates."""
        with self.lock() as ours:
            if ours:
                self._compact_waiting(everything)
                self._tidy(everything)

    def compact_all(self) -> None:
        """What waits in closed segments. Raises Stopped."""
        with self.lock() as ours:
            if not ours:
                raise Stopped
            self._compact_waiting(everything=True)

    def expire(self, days: Sequence[date]) -> None:
        """Move dates out of the lake. Raises Stopped."""
        with self.lock() as ours:
            if not ours:
                raise Stopped
            for day in days:
                self._check()
                self._expire(day)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _write_view(self) -> None:
        if self._view_written or not self.lake.dates():
            return
        with self.lock() as ours:
            if ours:
                write_view(self.lake, self.disk)
                self._view_written = True

    # Segments

    def _compact_waiting(self, everything: bool) -> None:
        sweep(self.lake, self.disk)
        close_orphans(self.spool, self.quarantine, self.disk)
        waiting = closed_segments(self.spool)
        if everything or self._is_time(waiting):
            self._compact(waiting)

    def _is_time(self, waiting: Sequence[Waiting]) -> bool:
        dates = {segment.name.opened_on for segment in waiting}
        rows_held = sum(self.lake.rows(day) for day in dates)
        return is_worth_a_pass(waiting, rows_held, int(self._clock() * 1000), self._thresholds)

    def _compact(self, waiting: Sequence[Waiting]) -> None:
        while waiting:
            self._check()
            segments = self._next_pass(waiting)
            if len(segments) < len(waiting):
                self._log_backlog(waiting)
            started = time.monotonic()
            outcome = self._compactor.compact(segments)
            _log(outcome, time.monotonic() - started)
            self._careful = False
            done = set(segments)
            waiting = [segment for segment in waiting if segment.name not in done]
        release()

    def _next_pass(self, waiting: Sequence[Waiting]) -> list[SegmentName]:
        """As much as fits even if nothing got smaller; one segment in any case, for it will."""
        free = self.disk.free_bytes(self.lake.folder)
        room = 1 if self._careful else min(free, self._settings.pass_bytes_max)
        if room < self._settings.pass_bytes_max:
            logger.warning("%d bytes are free on the disk: a pass takes less at a time", free)
        return plan(waiting, replace(self._thresholds, pass_bytes_max=room))[0]

    def _log_backlog(self, waiting: Sequence[Waiting]) -> None:
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
            self._to_tidy = deque(self.lake.dates())
            self._tidy_at = time.monotonic() + TIDY_INTERVAL_S
        while self._to_tidy:
            self._check()
            if self._tidy_date(self._to_tidy.popleft()) and not everything:
                return

    def _tidy_date(self, day: date) -> bool:
        now = datetime.fromtimestamp(self._clock(), UTC)
        days = self._settings.retention_days
        if days and is_expired(day, now.date(), days):
            return bool(self._expire(day))
        if now < _end_of(day) + timedelta(hours=self._settings.close_after_h):
            return False
        return self._consolidate(day)

    def _expire(self, day: date) -> int:
        moved = expire(self.lake, self.spool, day, self.disk)
        if moved:
            logger.info("moved %s out of the lake: %d parts", day, len(moved))
        return len(moved)

    def _consolidate(self, day: date) -> bool:
        held = [Held(part, self.lake.footer(part).rows) for part in self.lake.parts(day)]
        groups = plan_merges(held, int(self._clock() * 1000))
        if groups:
            try:
                consolidate(self.lake, day, groups, self.next_name, self.disk, self._check)
                logger.info("consolidated %s: %s parts", day, _sizes(groups))
            except CannotExchange as error:
                logger.warning("%s stays in %d parts: %s", day, len(held), error)
        self.lake.forget(day)
        return bool(groups)

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Wait for our turn on the lake; False if we are to stop first. A crash lets go of it."""
        fd = os.open(self.lake.folder / "lock", os.O_RDWR | os.O_CREAT, 0o640)
        try:
            while not (ours := _try_flock(fd)) and not self._stop.wait(LOCK_POLL_S):
                pass
            yield ours
        finally:
            os.close(fd)


def _try_flock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


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
