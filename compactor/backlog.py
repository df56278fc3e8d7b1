"""What waits in the spool, and the passes over it: as much at a time as there is room for."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from compactor.allocator import release
from compactor.jobs.compact import Compactor, Outcome
from compactor.lake.listing import Lake
from compactor.obstacles import Obstacles
from compactor.plan import ClosedSegment, Thresholds, is_worth_a_pass, plan
from compactor.segments.orphans import closed_segments
from compactor.settings import Settings
from ingest.segment import SegmentName, spool_folder

logger = logging.getLogger("compactor")


class Backlog:
    def __init__(
        self,
        settings: Settings,
        lake: Lake,
        compactor: Compactor,
        obstacles: Obstacles,
        clock: Callable[[], float],
        check: Callable[[], None],
    ) -> None:
        # Fixed for the life of the process
        self._spool = spool_folder(settings.data_dir)
        self._lake = lake
        self._compactor = compactor
        self._obstacles = obstacles
        self._clock = clock
        self._check = check
        self._thresholds = Thresholds(settings.pass_bytes_max, settings.pass_age_s_max)

        # After a pass that failed: one segment at a time, until one succeeds
        self.careful = False

    def compact(self, everything: bool) -> None:
        """What waits, if there is enough of it, or it has waited for long enough."""
        kept_back = self._obstacles.kept_back
        waiting = [each for each in closed_segments(self._spool) if each.name not in kept_back]
        if everything or self._is_time(waiting):
            self._compact(waiting)

    def _is_time(self, waiting: Sequence[ClosedSegment]) -> bool:
        dates = {segment.name.opened_on for segment in waiting}
        rows_held = self._lake.rows(dates)
        return is_worth_a_pass(waiting, rows_held, int(self._clock() * 1000), self._thresholds)

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
                self._obstacles.meet(error, names)
            self.careful = False
            done = set(segments)
            waiting = [segment for segment in waiting if segment.name not in done]
        release()

    def _next_pass(self, waiting: Sequence[ClosedSegment]) -> list[SegmentName]:
        """As much as fits even if nothing got smaller; one segment in any case, for it will."""
        free = self._lake.store.free_bytes()
        room = min(free, self._thresholds.pass_bytes_max)
        if room < self._thresholds.pass_bytes_max:
            logger.warning("%d bytes are free on the disk: a pass takes less at a time", free)
        if self.careful:
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
