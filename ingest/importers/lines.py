"""The lines of one file, and the event ids that make sending them again harmless.

    event_id   := first 20 hex digits of sha256(seed 0x1f occurrence)
    seed       := what ingest.importers.record makes of the line
    occurrence := "1" for the first line with this seed in the file, "2" for the next, ...

An id follows from the content of one file: not from its name, its compression, what else is
imported with it, or a secret. So a second run, a log that has grown since, its .gz copy, and a
file named twice add nothing, while two identical lines of one file stay two events.

The price: identical lines of different files pass for copies of one line. That is rare after a
rotation (the same request of the same client in the second of the change), likelier in the logs
of several servers. Pipe those in as one file: `cat web1.log web2.log | ... -`.

Occurrences are counted over the whole file. A window of time would forget too early: a line is
stamped when its request starts and written when it ends, for a large download hours later.
"""

from __future__ import annotations

import gzip
import io
import os
import sqlite3
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STDIN = "-"
GZIP_MAGIC = b"\x1f\x8b"
READ_BYTES = 64 * 1024
LINE_BYTES_MAX = 1024 * 1024  # the rest of a longer line is skipped
COUNTS_KIB_MAX = 64 * 1024

READ_ERRORS = (OSError, EOFError, zlib.error, sqlite3.Error)  # EOFError: a gzip cut short


class Line(NamedTuple):
    place: str  # file:number
    raw: bytes  # without its line ending


def read_lines(name: str, on_bytes: Callable[[int], object]) -> Iterator[Line]:
    """The lines of file `name`. Raises one of READ_ERRORS when it cannot go on."""
    shown = "(standard input)" if name == STDIN else name
    with open_log(name, on_bytes) as file:
        for number, line in enumerate(split_lines(file), start=1):
            yield Line(f"{shown}:{number}", line.rstrip(b"\r\n"))


def split_lines(file: io.BufferedIOBase) -> Iterator[bytes]:
    while line := file.readline(LINE_BYTES_MAX):
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(LINE_BYTES_MAX)


@contextmanager
def open_log(name: str, on_bytes: Callable[[int], object]) -> Iterator[io.BufferedIOBase]:
    """The text of a plain or gzip file, whatever its name; `on_bytes` hears of every read."""
    with io.BufferedReader(MeteredFile(name, on_bytes), READ_BYTES) as file:
        if name.endswith(".gz") or file.peek(2).startswith(GZIP_MAGIC):
            yield gzip.GzipFile(fileobj=file)
        else:
            yield file


def size_bytes(names: Sequence[str]) -> int | None:
    """What there is to read, or None if that cannot be known before."""
    try:
        found = [os.stat(0 if name == STDIN else name) for name in names]
    except OSError:
        return None
    return sum(f.st_size for f in found) if all(stat.S_ISREG(f.st_mode) for f in found) else None


class MeteredFile(io.FileIO):
    def __init__(self, name: str, on_bytes: Callable[[int], object]) -> None:
        is_stdin = name == STDIN
        super().__init__(0 if is_stdin else name, closefd=not is_stdin)
        self._on_bytes = on_bytes

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        count = super().readinto(buffer)
        self._on_bytes(count)
        return count


class EventIds:
    """Tells the lines of one file with the same seed apart.

    The counts are an unnamed SQLite database: in memory up to COUNTS_KIB_MAX (some four million
    distinct lines), beyond that in a temporary file that SQLite has already unlinked, some 17
    bytes a line. A dict is three times as fast, but takes 100 MiB for each million lines.
    """

    def __init__(self) -> None:
        self._counts = sqlite3.connect("", isolation_level=None)
        self._counts.execute("PRAGMA journal_mode = OFF")
        self._counts.execute(f"PRAGMA cache_size = -{COUNTS_KIB_MAX}")
        self._counts.execute("CREATE TABLE seen (line INTEGER PRIMARY KEY, times INTEGER)")
        self._counts.execute("BEGIN")

    def next(self, seed: bytes) -> str:
        digest = sha256(seed + b"\x1f")
        digest.update(b"%d" % self._occurrence(digest.digest()))
        return digest.hexdigest()[:20]

    def _occurrence(self, digest: bytes) -> int:
        key = int.from_bytes(digest[:8], "big", signed=True)
        row = self._counts.execute(
            "INSERT INTO seen VALUES (?, 1)"
            " ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times",
            (key,),
        ).fetchone()
        return int(row[0])

    def close(self) -> None:
        self._counts.close()
