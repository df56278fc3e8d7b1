"""A private folder for what DuckDB and we put on disk for a while: data/tmp/report-XXXXXXXX/."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Scratch:
    """Held by a lock for the life of the process; what dead processes left is removed."""

    def __init__(self, data_dir: Path) -> None:
        """Raises OSError when the data folder does not take files."""
        parent = data_dir / "tmp"
        parent.mkdir(mode=0o750, exist_ok=True)
        # a folder has no lock yet when it is made: nobody else may look for dead ones then
        with _locked(parent):
            for left in parent.glob("report-*"):
                with suppress(OSError), _locked(left, fcntl.LOCK_NB):  # or it is held, or gone
                    shutil.rmtree(left, ignore_errors=True)
            self.folder = Path(tempfile.mkdtemp(prefix="report-", dir=parent))
            self._fd = _lock(self.folder)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._fd)


@contextmanager
def _locked(folder: Path, how: int = 0) -> Iterator[None]:
    fd = _lock(folder, how)
    try:
        yield
    finally:
        os.close(fd)


def _lock(folder: Path, how: int = 0) -> int:
    """An open descriptor that has the lock. With LOCK_NB it raises BlockingIOError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | how)
    except BaseException:
        os.close(fd)
        raise
    return fd
