"""The rows of the spool, kept in memory: each byte is read once, up to the last whole line."""

import logging
import os
import threading
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake import SCHEMA, to_table
from ingest.event import StoredEvent, decode_line
from ingest.segment import CLOSED, SegmentName, list_segments

logger = logging.getLogger("report.live")

LIVE_SCHEMA = SCHEMA.append(pa.field("date", pa.date32())).append(pa.field("line", pa.int32()))
READ_BYTES = 8 * 1024 * 1024
CHUNKS_MAX = 32  # a table of many small chunks is slow to scan


class LiveSegment:
    """One segment, followed through its renaming and its removal by an open descriptor."""

    def __init__(self, path: Path) -> None:
        # Fixed for its life
        self.fd = os.open(path, os.O_RDONLY)

        # Grow as it is read
        self.offset = 0  # of the first byte not taken yet
        self.lines = 0
        self.damaged_lines = 0
        self.rows: pa.Table = LIVE_SCHEMA.empty_table()
        self.complete = False  # closed, and read to its end

    def read_on(self, closed: bool) -> None:
        """Take the whole lines that were appended since. `closed`: as listed before this call."""
        if self.complete:
            return
        size = os.fstat(self.fd).st_size
        if size < self.offset:
            self._start_again()
        while self._take(size):
            pass
        if closed:
            self.complete = True
            os.close(self.fd)
        if self.rows.column(0).num_chunks > CHUNKS_MAX:
            self.rows = self.rows.combine_chunks()

    def close(self) -> None:
        if not self.complete:
            os.close(self.fd)

    def _start_again(self) -> None:
        # a failed write was cut back after we had seen some of it; nothing is appended after that
        self.offset = self.lines = self.damaged_lines = 0
        self.rows = LIVE_SCHEMA.empty_table()

    def _take(self, size: int) -> bool:
        content = os.pread(self.fd, min(READ_BYTES, size - self.offset), self.offset)
        whole = content.rfind(b"\n") + 1
        if whole == 0:
            return False
        self.rows = pa.concat_tables([self.rows, self._decode(content[:whole])])
        self.offset += whole
        return self.offset < size

    def _decode(self, lines: bytes) -> pa.Table:
        events: list[StoredEvent] = []
        numbers: list[int] = []
        for line in lines[:-1].split(b"\n"):
            self.lines += 1
            try:
                events.append(decode_line(line))
                numbers.append(self.lines)
            except (ValueError, RecursionError):
                self.damaged_lines += 1  # the compactor will put it into quarantine
        table = to_table(events)
        return table.append_column("date", pc.cast(table["timestamp"], pa.date32())).append_column(
            "line", pa.array(numbers, pa.int32())
        )


class Live:
    """All segments of the spool. `refresh` may be called from any thread."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._segments: dict[str, LiveSegment] = {}  # by segment id

    def refresh(self) -> dict[str, pa.Table]:
        """The rows of every segment that is in the spool now, by segment id, oldest first.

        Holds every line that was written before this call. A segment that is missing was
        released before, so the parts that name it can be seen by whoever lists them afterwards.
        """
        with self._lock:
            listed = list_segments(self._spool)
            for name in listed:
                with suppress(FileNotFoundError):  # released, or renamed: see _follow
                    self._follow(name)
            present = [name.id for name in listed if name.id in self._segments]
            for gone in self._segments.keys() - set(present):
                self._segments.pop(gone).close()
            return {id: self._segments[id].rows for id in present}

    def _follow(self, name: SegmentName) -> None:
        segment = self._segments.get(name.id)
        if segment is None:
            segment = self._segments[name.id] = self._open(name)
        segment.read_on(closed=name.state == CLOSED)

    def _open(self, name: SegmentName) -> LiveSegment:
        try:
            return LiveSegment(self._spool / str(name))
        except (
            FileNotFoundError
        ):  # closed since it was listed; or released, and then this raises too
            return LiveSegment(self._spool / str(name.closed()))

    def close(self) -> None:
        with self._lock:
            for segment in self._segments.values():
                segment.close()
            self._segments.clear()
