"""The spool, followed: what every question is told that no part has yet."""

import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ingest.segment import CLOSED, SegmentName, list_segments
from report.snapshot.segment_tail import CutBack, SeenSegment, SegmentTail
from report.snapshot.spool_rows import Spilled, SpoolRows


@dataclass(frozen=True, slots=True)
class SeenSpool:
    """All segments as of one look. Immutable, so whoever has it may use it for long."""

    segments: tuple[SeenSegment, ...] = ()  # oldest first
    tables: tuple[pa.Table, ...] = ()  # their rows, of spool_rows.ROWS
    memory_bytes: int = 0  # of the tables
    spilled: tuple[Spilled, ...] = ()  # more rows of theirs; and of some that have gone


class SpoolTail:
    """All segments of the spool. `refresh` may be called from any thread."""

    def __init__(self, spool: Path, rows: SpoolRows) -> None:
        # Fixed for the life of the process
        self._spool = spool
        self._rows = rows
        self._lock = threading.Lock()

        # Replaced by every refresh
        self._segments: dict[str, SegmentTail] = {}  # by segment id
        self._seen = SeenSpool()
        self._begun = 0  # looks
        self._seen_in = 0  # which of them

    def refresh(self) -> SeenSpool:
        """Every segment that is in the spool now.

        Holds every line that was written before this call. A segment that is missing was
        released before, so the parts that name it can be seen by whoever lists them afterwards.
        Raises Problem when there is no room for all rows.
        """
        begun = self._begun
        with self._lock:
            # a look that began while we waited for the lock has seen what we would see
            if self._seen_in <= begun:
                self._begun += 1
                self._seen = self._look()
                self._seen_in = self._begun
            return self._seen

    @property
    def seen(self) -> SeenSpool:
        """What the last refresh returned."""
        return self._seen

    def close(self) -> None:
        with self._lock:
            self._start_again()

    def _look(self) -> SeenSpool:
        listed = list_segments(self._spool)
        self._forget(self._segments.keys() - {name.id for name in listed})
        self._rows.make_room()  # or nothing more is read
        try:
            self._follow(listed)
        except CutBack:
            self._start_again()
            self._follow(listed)
        present = [name.id for name in listed if name.id in self._segments]
        segments = tuple(self._segments[id].seen for id in present)
        rows = self._rows
        return SeenSpool(segments, rows.tables, rows.memory_bytes, rows.spilled)

    def _follow(self, listed: list[SegmentName]) -> None:
        for name in listed:
            with suppress(FileNotFoundError):  # released, or renamed: see _open
                segment = self._segments.get(name.id)
                if segment is None:
                    segment = self._segments[name.id] = self._open(name)
                for rows in segment.read_on(name.state == CLOSED):
                    self._rows.add(rows)

    def _open(self, name: SegmentName) -> SegmentTail:
        try:
            return SegmentTail(name, self._spool / str(name))
        except FileNotFoundError:
            # closed since it was listed; or released, and then this raises too
            return SegmentTail(name, self._spool / str(name.closed()))

    def _forget(self, gone: set[str]) -> None:
        if not gone:
            return
        for id in gone:
            self._segments.pop(id).close()
        self._rows.remove(gone, self._segments.keys())

    def _start_again(self) -> None:
        for segment in self._segments.values():
            segment.close()
        self._segments.clear()
        self._rows.clear()
