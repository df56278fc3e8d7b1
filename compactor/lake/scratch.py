"""A private folder for what DuckDB puts on disk for a while: data/tmp/<owner>-XXXXXXXX/."""

import fcntl
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path


class Scratch:
    """Held by a lock for the life of the process; what dead processes left is removed."""

    def __init__(self, data_dir: str | Path, owner: str) -> None:
        """Raises OSError when the data folder does not take files."""
        parent = Path(data_dir) / "tmp"
        parent.mkdir(mode=0o750, exist_ok=True)
        starting = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(starting, fcntl.LOCK_EX)  # nobody removes what is made and not yet held
            for left in parent.glob(f"{owner}-*"):
                _remove_unless_held(left)
            self.folder = Path(tempfile.mkdtemp(prefix=f"{owner}-", dir=parent))
            fd = _hold(self.folder)
        finally:
            os.close(starting)
        self.close = weakref.finalize(self, _close, self.folder, fd)


def _hold(folder: Path) -> int:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise
    return fd


def _remove_unless_held(folder: Path) -> None:
    with suppress(OSError):
        _close(folder, _hold(folder))


def _close(folder: Path, fd: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(fd)
