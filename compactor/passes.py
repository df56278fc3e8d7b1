"""Runs passes when they are worth it: one compactor at a time on a lake, by lock."""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from compactor.compact import Compactor, Outcome
from compactor.disk import Disk
from compactor.lake import Lake
from compactor.plan import Thresholds, Waiting, is_worth_a_pass, plan
from compactor.publish import prepare
from compactor.quarantine import Quarantine
from compactor.settings import Settings
from compactor.spool import close_orphans, closed_segments
from compactor.view import write_view
from ingest.segment import spool_folder

logger = logging.getLogger("compactor")

LOCK_POLL_S = 0.1
TROUBLE_WAIT_S = 5.0


class Passes:
    def __init__(self, settings: Settings, stop: threading.Event, disk: Disk | None = None) -> None:
        """Raises OSError when the data folder does not take files."""
        # Fixed for the life of the process
        self._settings = settings
        self._stop = stop
        self._disk = disk or Disk()
        self._lake = Lake(settings.data_dir)
        self._spool = spool_folder(settings.data_dir)
        self._quarantine = Quarantine(settings.data_dir, self._disk)
        self._compactor = Compactor(settings.data_dir, self._disk)
        self._thresholds = Thresholds(settings.pass_bytes_max, settings.pass_age_s_max)
        prepare(self._lake, self._disk)

        # Set when done
        self._view_written = False

    def run(self) -> None:
        """Until told to stop. Trouble, a full disk say, costs a repetition and no event."""
        logger.info("watching %s", self._spool)
        while not self._stop.is_set():
            try:
                self._turn(everything=False)
            except (OSError, duckdb.Error, pa.ArrowException) as error:
                logger.error("the pass failed and will be repeated: %s", error)
                self._stop.wait(TROUBLE_WAIT_S)
            self._stop.wait(self._settings.poll_interval_s)

    def run_once(self) -> None:
        """Everything that waits now. Raises what goes wrong."""
        self._turn(everything=True)

    def _turn(self, everything: bool) -> None:
        with self._lock() as ours:
            if not ours:
                return
            close_orphans(self._spool, self._quarantine, self._disk)
            waiting = closed_segments(self._spool)
            if everything or self._is_time(waiting):
                self._compact(waiting)
            if not self._view_written and self._lake.dates():
                write_view(self._lake, self._disk)
                self._view_written = True

    def _is_time(self, waiting: Sequence[Waiting]) -> bool:
        dates = {segment.name.opened_on for segment in waiting}
        rows_held = sum(self._lake.rows(day) for day in dates)
        return is_worth_a_pass(waiting, rows_held, int(time.time() * 1000), self._thresholds)

    def _compact(self, waiting: Sequence[Waiting]) -> None:
        for segments in plan(waiting, self._thresholds):
            if self._stop.is_set():
                return
            started = time.monotonic()
            outcome = self._compactor.compact(segments)
            _log(outcome, time.monotonic() - started)

    @contextmanager
    def _lock(self) -> Iterator[bool]:
        """Wait for our turn on the lake; False if we are to stop first. A crash lets go of it."""
        fd = os.open(self._lake.folder / "lock", os.O_RDWR | os.O_CREAT, 0o640)
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
