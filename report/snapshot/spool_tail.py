"""The spool, followed: each byte of it is read once, up to the last whole line."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from ingest.event import StoredEvent, decode_line
from ingest.segment import CLOSED, SegmentName, list_segments
from report.snapshot.segment_rows import Waiting, dates_of, merged, spill, to_rows
from report.snapshot.spill_folder import SpillFolder

READ_BYTES = 1 << 20

_decode_lines = msgspec.json.Decoder(StoredEvent).decode_lines


class LiveSegment:
    """One segment, followed through its renaming and its removal by an open descriptor."""

    def __init__(self, name: SegmentName, path: Path) -> None:
        # Fixed for its life
        self._fd = os.open(path, os.O_RDONLY)

        # Replaced as it is read
        self.waiting = Waiting(name.id, name.opened_on)
        self._complete = False  # closed, and read to its end

    def read_on(self, closed: bool, around_each: Callable[[], None]) -> None:
        """Take the whole lines that were appended since. `closed`: as listed before this call.

        `around_each` is called before and after a piece of them is taken, and may raise.
        """
        if self._complete:
            return
        size = os.fstat(self._fd).st_size
        if size < self.waiting.bytes:
            self._start_again()
        if self.waiting.bytes < size:
            around_each()
        while self.waiting.bytes < size and self._take(size):
            around_each()
        if closed:
            self._complete = True
            os.close(self._fd)

    def spill(self, path: Path) -> None:
        """Put the rows into a file, and no longer keep them in memory."""
        known = self.waiting
        spilled = spill(known.id, known.chunks, path)
        self.waiting = replace(known, chunks=(), spilled=(*known.spilled, spilled))

    def close(self) -> None:
        for spilled in self.waiting.spilled:
            spilled.path.unlink(missing_ok=True)  # who asks for it now takes a new look
        if not self._complete:
            os.close(self._fd)

    def _start_again(self) -> None:
        # a failed write was cut back after we had seen some of it; nothing is appended after that
        self.waiting = Waiting(self.waiting.id, self.waiting.opened_on)

    def _take(self, size: int) -> bool:
        """Read one piece. False when there is no whole line left."""
        start = self.waiting.bytes
        want = READ_BYTES
        content = os.pread(self._fd, min(want, size - start), start)
        while not (whole := content.rfind(b"\n") + 1) and want < size - start:
            want *= 2  # damage that is longer than any line
            content = os.pread(self._fd, min(want, size - start), start)
        if whole == 0:
            return False
        self._add(content[:whole])
        return True

    def _add(self, content: bytes) -> None:
        known = self.waiting
        count = content.count(b"\n")
        events, lines = decode(content, count, known.lines + 1)
        rows = to_rows(events, lines)
        self.waiting = replace(
            known,
            bytes=known.bytes + len(content),
            lines=known.lines + count,
            damaged=known.damaged + count - len(events),
            chunks=tuple(merged([*known.chunks, rows])) if events else known.chunks,
            dates=known.dates | dates_of(rows),
        )


def decode(content: bytes, count: int, first: int) -> tuple[list[StoredEvent], list[int]]:
    """The events of whole lines and the numbers of their lines; damaged lines are left out."""
    with suppress(ValueError, RecursionError):
        events = _decode_lines(content)
        if len(events) == count:  # each line had exactly one
            return events, list(range(first, first + count))
    events, lines = [], []
    for number, line in enumerate(content[:-1].split(b"\n"), first):
        with suppress(ValueError, RecursionError):
            events.append(decode_line(line))
            lines.append(number)
    return events, lines


class Live:
    """All segments of the spool. `refresh` may be called from any thread."""

    def __init__(self, spool: Path, memory_bytes_max: int, spill: SpillFolder) -> None:
        # Fixed for the life of the process
        self._spool = spool
        self._memory_bytes_max = memory_bytes_max
        self._spill = spill
        self._lock = threading.Lock()

        # Replaced by every refresh
        self._segments: dict[str, LiveSegment] = {}  # by segment id
        self._sizes: dict[str, int] = {}  # of theirs in memory, where there are any
        self._memory_bytes = 0  # of all of them
        self._seen: list[Waiting] = []
        self._begun = 0  # looks
        self._seen_in = 0  # which of them

    def refresh(self) -> list[Waiting]:
        """Every segment that is in the spool now, oldest first.

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
    def seen(self) -> list[Waiting]:
        """What the last refresh returned."""
        return self._seen

    def _look(self) -> list[Waiting]:
        listed = list_segments(self._spool)
        for gone in self._segments.keys() - {name.id for name in listed}:
            self._close(gone)  # first of all, for it makes room
        for name in listed:
            with suppress(FileNotFoundError):  # released, or renamed: see _open
                self._follow(name)
        return [self._segments[name.id].waiting for name in listed if name.id in self._segments]

    def _follow(self, name: SegmentName) -> None:
        segment = self._segments.get(name.id)
        if segment is None:
            segment = self._segments[name.id] = self._open(name)
        segment.read_on(name.state == CLOSED, lambda: self._make_room(name.id, segment))

    def _open(self, name: SegmentName) -> LiveSegment:
        try:
            return LiveSegment(name, self._spool / str(name))
        except FileNotFoundError:
            # closed since it was listed; or released, and then this raises too
            return LiveSegment(name, self._spool / str(name.closed()))

    def _make_room(self, id: str, segment: LiveSegment) -> None:
        """After this segment has changed. Raises Problem."""
        self._set_size(id, segment.waiting.memory_bytes)
        while self._memory_bytes > self._memory_bytes_max:
            largest = max(self._sizes, key=self._sizes.__getitem__)
            self._segments[largest].spill(self._spill.place(largest, self._sizes[largest]))
            self._spill.took(self._segments[largest].waiting.spilled[-1].bytes)
            self._set_size(largest, 0)

    def _set_size(self, id: str, size: int) -> None:
        self._memory_bytes += size - self._sizes.pop(id, 0)
        if size:
            self._sizes[id] = size

    def _close(self, id: str) -> None:
        segment = self._segments.pop(id)
        self._set_size(id, 0)
        self._spill.took(-sum(each.bytes for each in segment.waiting.spilled))
        segment.close()

    def close(self) -> None:
        with self._lock:
            for id in list(self._segments):
                self._close(id)
