"""The spool format. Ingest writes it; the compactor and the report read it.

    data/spool/ := segment files, no folders
    name        := opened_ms "-" writer "-" seq "." state
                   13 digits     8 hex      6 digits  "open" | "jsonl"
    content     := line*          one event per line, see ingest.event

An .open file is held under flock(2) by its one writer. Its bytes are only ever appended to; a
failed write is cut back, and then nothing more is appended. Renaming it to .jsonl is the
hand-over: from then on its bytes never change. An .open file whose lock can be taken has lost
its writer, and the compactor closes it. Only the last line may lack its "\\n", and only when the
writer died in the middle of a write.

The name without its state is the segment's id: it stays the same for the segment's whole life,
and orders segments by the time at which they were opened.
"""

import fcntl
import os
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self

OPEN = "open"
CLOSED = "jsonl"
SEGMENT_BYTES_MAX = 64 * 1024 * 1024

_NAME = re.compile(r"(\d{13})-([0-9a-f]{8})-(\d{6})\.(open|jsonl)", re.ASCII)


@dataclass(frozen=True, order=True, slots=True)
class SegmentName:
    """A segment file's name, taken apart."""

    opened_ms: int  # Unix time
    writer: str
    seq: int
    state: str = OPEN

    def __str__(self) -> str:
        return f"{self.id}.{self.state}"

    @property
    def id(self) -> str:
        return f"{self.opened_ms:013d}-{self.writer}-{self.seq:06d}"

    @property
    def opened_on(self) -> date:
        """The UTC date on which it was opened: where its damaged lines are counted."""
        return datetime.fromtimestamp(self.opened_ms / 1000, UTC).date()

    def closed(self) -> Self:
        return type(self)(self.opened_ms, self.writer, self.seq, CLOSED)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for a file that is not a segment, .DS_Store and friends."""
        match = _NAME.fullmatch(text)
        if match is None:
            return None
        opened_ms, writer, seq, state = match.groups()
        return cls(int(opened_ms), writer, int(seq), state)


def spool_folder(data_dir: str | Path) -> Path:
    return Path(data_dir) / "spool"


def list_segments(spool: Path) -> list[SegmentName]:
    """All segments of a spool folder, oldest first; none when the folder is not there yet.

    A large folder is read in several calls, and a segment that is closed between them may show
    neither of its names, or both. It is closed once in its life: so of two listings one at least
    shows it, and of two names the later one is meant. One that is released meanwhile, or closed
    since, is listed under a name that has gone.
    """
    found: dict[str, SegmentName] = {}
    try:
        names = {*os.listdir(spool), *os.listdir(spool)}
    except FileNotFoundError:
        return []
    for name in filter(None, map(SegmentName.parse, names)):
        if name.state == CLOSED or name.id not in found:
            found[name.id] = name
    return sorted(found.values())


def try_lock(fd: int, path: Path) -> bool:
    """Take the writer's lock. False if another process has it, or if `path` is no longer this file.

    The second look closes the gap between a file's creation and its lock: whoever took the lock
    in between may have renamed or removed the file before letting go of it.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except (BlockingIOError, FileNotFoundError):
        return False
