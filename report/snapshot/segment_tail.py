"""A segment of the spool, followed: each byte of it is read once, up to the last whole line."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import msgspec
import pyarrow as pa

from ingest.event import StoredEvent, decode_line
from ingest.segment import SegmentName
from report.snapshot.spool_rows import dates_of, to_rows

READ_BYTES = 1 << 20

_decode_lines = msgspec.json.Decoder(StoredEvent).decode_lines


@dataclass(frozen=True, slots=True)
class SeenSegment:
    """One segment as of one moment."""

    id: str
    opened_on: date
    bytes: int = 0  # of whole lines
    lines: int = 0
    damaged: int = 0  # lines that the compactor will put into quarantine
    dates: frozenset[date] = frozenset()  # of all rows


class CutBack(Exception):
    """It is shorter than it was: a failed write was taken back after some of it was read."""


class SegmentTail:
    """Follows it through its renaming and its removal, by an open descriptor."""

    def __init__(self, name: SegmentName, path: Path) -> None:
        # Fixed for its life
        self._fd = os.open(path, os.O_RDONLY)

        # Replaced as it is read
        self.seen = SeenSegment(name.id, name.opened_on)
        self._complete = False  # closed, and read to its end

    def read_on(self, closed: bool) -> Iterator[pa.Table]:
        """The rows of the whole lines that were appended since, piece by piece.

        `closed`: as listed before this call. Raises CutBack.
        """
        if self._complete:
            return
        size = os.fstat(self._fd).st_size
        if size < self.seen.bytes:
            raise CutBack
        while self.seen.bytes < size and (content := self._whole_lines(size)):
            rows = self._take(content)
            if len(rows):
                yield rows
        if closed:
            self._complete = True
            os.close(self._fd)

    def close(self) -> None:
        if not self._complete:
            os.close(self._fd)

    def _whole_lines(self, size: int) -> bytes:
        """The next piece; empty when there is no whole line left."""
        start = self.seen.bytes
        want = READ_BYTES
        content = os.pread(self._fd, min(want, size - start), start)
        while not (whole := content.rfind(b"\n") + 1) and want < size - start:
            want *= 2  # damage that is longer than any line
            content = os.pread(self._fd, min(want, size - start), start)
        return content[:whole]

    def _take(self, content: bytes) -> pa.Table:
        known = self.seen
        count = content.count(b"\n")
        events, lines = decode(content, count, known.lines + 1)
        rows = to_rows(events, lines, known.id)
        self.seen = replace(
            known,
            bytes=known.bytes + len(content),
            lines=known.lines + count,
            damaged=known.damaged + count - len(events),
            dates=known.dates | dates_of(rows),
        )
        return rows


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
