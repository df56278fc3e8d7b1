"""The write-ahead log: appends lines to the open segment, many requests to one write(2)."""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from ingest.disk import Disk, folder_bytes
from ingest.open_segment import Done, OpenSegment
from ingest.receipt import Receipt
from ingest.refusal import Refusal, Refused
from ingest.segment import SegmentName, spool_folder
from ingest.settings import Settings
from ingest.telemetry import Metrics

logger = logging.getLogger("ingest.spool")

PROBE_BYTES = 64 * 1024
PROBE_INTERVAL_S = 0.5
READY_S = 1.0  # one probe answers all who ask within this time, so that /ready is no amplifier


class Spool:
    """Appends events to the open segment.

    A 202 promises this. Written: write(2) has returned, so the operating system has the line and
    it survives the death of this process. Synced: fdatasync(2) has returned as well, so it
    survives a power cut. Written lines are synced every `sync_interval_s`.

    When that cannot be kept (disk full, I/O error) those who wait are refused, the segment is
    given up, and append() refuses at the door until a probe of the disk succeeds. Entering and
    leaving that state is logged once.

    All methods run on the event loop; only what waits for the disk runs in the one disk thread.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        disk: Disk | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # Fixed for the life of the process
        self._settings = settings
        self._past_max = timedelta(seconds=settings.past_s_max)
        self._metrics = metrics
        self._folder = spool_folder(settings.data_dir)
        self._disk = disk or Disk()  # a seam: tests pass one that fills up
        self._clock = clock
        self._writer = secrets.token_hex(4)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool-disk")
        self._loop = asyncio.get_running_loop()

        # What arrived in this turn of the event loop
        self._receipt: Receipt | None = None
        self._lines: list[bytes] = []
        self._pending_bytes = 0
        self._on_written: list[Done] = []
        self._on_synced: list[Done] = []

        # Replaced at every rotation; None between a failure and the recovery from it
        self._segment: OpenSegment | None = None
        self._seq = 0
        self._trouble: str | None = "not opened yet"
        self._full: str | None = None  # the compactor is behind: the disk is well, but we stop

        # Work under way
        self._syncing = False
        self._timer: asyncio.TimerHandle | None = None
        self._check: asyncio.Future[None] | None = None
        self._check_until = 0.0
        self._closed = False

    def open(self) -> None:
        """Raises OSError when the folder does not take writes."""
        self._folder.mkdir(mode=0o750, exist_ok=True)
        self._disk.sync_folder(self._folder.parent)  # or a power cut takes the folder and all in it
        self._probe()
        self._segment = self._open_next()
        self._trouble = None
        self._metrics.ready[0] = 1
        self._timer = self._loop.call_later(self._settings.sync_interval_s, self._tick)

    async def close(self) -> None:
        """Hand over everything that was appended; the writer cannot be used again."""
        self._closed = True
        self._metrics.ready[0] = 0
        if self._timer:
            self._timer.cancel()
        self._flush()
        self._trouble = "shutting down"
        if self._segment:
            self._retire(self._segment)
        await asyncio.to_thread(self._thread.shutdown)  # runs what is queued, then ends

    @property
    def trouble(self) -> str | None:
        """Why no write is accepted now, or None."""
        return self._trouble or self._full

    async def check(self) -> str | None:
        """Exercise the disk: the reason why no write can be taken now, or None."""
        if self.trouble:
            return self.trouble
        if self._check is None or self._loop.time() > self._check_until:
            self._check = self._loop.run_in_executor(self._thread, self._probe)
            self._check_until = self._loop.time() + READY_S
        try:
            await asyncio.shield(self._check)
        except OSError as error:
            return str(error)
        return self.trouble

    def receipt(self) -> Receipt:
        """The moment of receipt, shared by all that arrives in this turn of the event loop."""
        if self._receipt is None:
            self._receipt = Receipt(datetime.fromtimestamp(self._clock(), UTC), self._past_max)
            self._loop.call_soon(self._flush)
        return self._receipt

    def append(self, lines: bytes, synced: bool, done: Done) -> None:
        """Append whole lines in this turn of the event loop; `done` is called once they are kept,
        or with the reason why they are not. Raises Refused when nothing can be taken now."""
        if self._trouble or self._full:
            raise Refused(Refusal.SPOOL_UNAVAILABLE, f"The spool takes no writes: {self.trouble}.")
        if self._pending_bytes > self._settings.pending_bytes_max:
            raise Refused(Refusal.OVERLOADED, "Too much waits to be written; try again.")
        if self._receipt is None:
            self.receipt()  # begins a turn
        self._lines.append(lines)
        self._pending_bytes += len(lines)
        (self._on_synced if synced else self._on_written).append(done)

    # One turn of the event loop, one write

    def _flush(self) -> None:
        self._receipt = None
        if not self._lines:
            return
        data = b"".join(self._lines)
        written, synced = self._on_written, self._on_synced
        self._lines, self._on_written, self._on_synced, self._pending_bytes = [], [], [], 0
        segment = self._segment
        if segment is None:  # it failed between append() and now
            _answer(written + synced, _unavailable(self._trouble))
            return
        try:
            self._write(segment, data)
        except OSError as error:
            segment.cut()
            self._fail(segment, error)
            _answer(written + synced, _unavailable(error))
            return
        if segment.failure:  # of a sync, while we wrote; _synced() will give the segment up
            _answer(written + synced, _unavailable(segment.failure))
            return
        _answer(written, None)
        if synced:
            segment.waiting += synced
            self._sync(segment)
        if segment.bytes_written >= self._settings.segment_bytes_max:
            self._rotate(segment)

    def _write(self, segment: OpenSegment, data: bytes) -> None:
        started_ns = time.perf_counter_ns()
        segment.write(data)
        self._metrics.write_ns.observe(time.perf_counter_ns() - started_ns)
        self._metrics.write_events.observe(events := data.count(b"\n"))
        self._metrics.events[0] += events
        self._metrics.bytes[0] += len(data)
        if segment.first_line_at is None:
            segment.first_line_at = self._loop.time()

    # Syncing: one fdatasync serves all who waited while the one before it ran

    def _sync(self, segment: OpenSegment) -> None:
        if self._syncing:
            return
        self._syncing = True
        waiting = segment.take_waiting()
        segment.bytes_at_sync = segment.bytes_written
        job = self._loop.run_in_executor(self._thread, self._sync_now, segment)
        job.add_done_callback(lambda job: self._synced(segment, waiting, job.exception()))

    def _sync_now(self, segment: OpenSegment) -> None:
        started_ns = time.perf_counter_ns()
        segment.sync()
        self._metrics.sync_ns.observe(time.perf_counter_ns() - started_ns)

    def _synced(
        self, segment: OpenSegment, waiting: list[Done], error: BaseException | None
    ) -> None:
        self._syncing = False
        error = error or segment.failure  # of a write, while we synced
        if error is not None:
            _answer(waiting + segment.take_waiting(), _unavailable(error))
            if segment is self._segment:
                self._fail(segment, error)
        else:
            _answer(waiting, None)
        if self._segment and self._segment.waiting:
            self._sync(self._segment)

    # Rotation

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self._settings.sync_interval_s, self._tick)
        job = self._loop.run_in_executor(self._thread, folder_bytes, self._folder)
        job.add_done_callback(lambda job: self._measured(job.result()))
        segment = self._segment
        if segment is None or segment.first_line_at is None:
            return
        if self._loop.time() - segment.first_line_at >= self._settings.segment_age_s_max:
            self._rotate(segment)
        elif segment.bytes_written > segment.bytes_at_sync:
            self._sync(segment)

    def _measured(self, spool_bytes: int) -> None:
        limit = self._settings.spool_bytes_max
        full = f"it holds its limit of {limit:,} bytes" if spool_bytes >= limit else None
        if full and not self._full:
            logger.error("the spool takes no writes: %s; is the compactor running?", full)
        elif self._full and not full:
            logger.warning("the spool takes writes again: it holds %d bytes", spool_bytes)
        self._full = full
        self._metrics.ready[0] = self.trouble is None

    def _rotate(self, segment: OpenSegment) -> None:
        self._retire(segment)
        try:
            self._segment = self._open_next()
        except OSError as error:
            self._enter_trouble(error)

    def _retire(self, segment: OpenSegment) -> None:
        """Close a segment in the disk thread, after whatever sync of it is under way."""
        self._segment = None
        waiting = segment.take_waiting()
        job = self._loop.run_in_executor(self._thread, segment.close)
        job.add_done_callback(lambda job: self._retired(segment, waiting, job.exception()))

    def _retired(
        self, segment: OpenSegment, waiting: list[Done], error: BaseException | None
    ) -> None:
        if error is not None:
            logger.error("segment %s is left to the compactor: %s", segment.name, error)
        _answer(waiting, _unavailable(error) if error else None)

    def _open_next(self) -> OpenSegment:
        # Never the file from before: if its last line is torn, our first line
        # would be glued to the fragment and both would be lost.
        while True:
            self._seq += 1
            name = SegmentName(int(self._clock() * 1000), self._writer, self._seq)
            if segment := OpenSegment.create(self._folder, name, self._disk):
                return segment

    # Trouble and recovery

    def _fail(self, segment: OpenSegment, error: BaseException) -> None:
        """Never write to, sync or acknowledge on this descriptor again."""
        self._segment = None
        _answer(segment.take_waiting(), _unavailable(error))
        self._thread.submit(segment.give_up)
        self._enter_trouble(error)

    def _enter_trouble(self, error: BaseException) -> None:
        self._trouble = str(error)
        self._metrics.ready[0] = 0
        logger.error("the spool takes no writes: %s", error)
        self._recover()

    def _recover(self) -> None:
        job = self._loop.run_in_executor(self._thread, self._probe)
        job.add_done_callback(lambda job: self._probed(job.exception()))

    def _probe(self) -> None:
        """Write, sync and remove a file as a segment would be. Raises OSError."""
        path = self._folder / f"probe-{self._writer}"
        path.unlink(missing_ok=True)
        fd = self._disk.create(path)
        try:
            data = bytes(PROBE_BYTES)
            if self._disk.write(fd, data) < len(data):
                raise OSError("no space left for a write")
            self._disk.sync(fd)
        finally:
            os.close(fd)
            self._disk.unlink(path)

    def _probed(self, error: BaseException | None) -> None:
        if self._closed:
            return
        if error is None:
            try:
                self._segment = self._open_next()
            except OSError as again:
                error = again
        if error is None:
            self._trouble = None
            self._metrics.ready[0] = self._full is None
            logger.warning("the spool takes writes again")
        else:
            self._trouble = str(error)
            self._loop.call_later(PROBE_INTERVAL_S, self._recover)


def _unavailable(error: object) -> Refused:
    return Refused(Refusal.SPOOL_UNAVAILABLE, f"The event was not kept: {error}.")


def _answer(waiting: list[Done], refused: Refused | None) -> None:
    for done in waiting:
        try:
            done(refused)
        except Exception:
            # One connection that is gone must not cost the others their answer.
            logger.exception("an acknowledgement could not be delivered")
