"""Who may do what with a lake at the same time: flock(2) on two files, so a crash lets go.

    lake/compactor.lock   exclusively: the one compactor whose turn it is
    lake/lock             shared: a reader that must not meet an exchange; any number of them
                          exclusively: a compactor in the instant in which names change hands

A reader that shares the lock (`flock --shared data/lake/lock duckdb …`) always sees whole dates. It
never holds up a pass, which only adds; an exchange waits for it, for so long and no longer.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.segment import try_lock

POLL_S = 0.05

Wait = Callable[[float], object]  # for so many seconds; may raise, to end the waiting


class Busy(Exception):
    """Somebody else held a lock for as long as we may wait."""


class Lost(OSError):
    """The file of a lock was removed under its holder: there may be two of them now."""


class Lock:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def make(self) -> None:
        """Its file, so that others can share it."""
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o640))

    @contextmanager
    def held(self, wait: Wait, s_max: float) -> Iterator[None]:
        """Exclusively. Raises Busy after `s_max` seconds, and whatever `wait` raises."""
        deadline = time.monotonic() + s_max
        while not self._try():
            if time.monotonic() >= deadline:
                raise Busy(f"{self._path} was held by another for {s_max:g} s")
            wait(POLL_S)
        try:
            yield
        finally:
            assert self._fd is not None
            os.close(self._fd)
            self._fd = None

    @contextmanager
    def shared(self) -> Iterator[None]:
        """With others that share it. A copy of a lake need not have its file."""
        try:
            fd = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            yield
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            yield
        finally:
            os.close(fd)

    def check(self) -> None:
        """Raises Lost when others can take it, too, because its file is no longer the one named."""
        try:
            if self._fd is None or os.path.samestat(os.stat(self._path), os.fstat(self._fd)):
                return
        except FileNotFoundError:
            pass
        raise Lost(f"{self._path} was removed or replaced while it was held")

    def _try(self) -> bool:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o640)
        if try_lock(fd, self._path):
            self._fd = fd
            return True
        os.close(fd)
        return False
