"""A folder for the life of a process, and of nothing longer: a lock says whose it is."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ingest.segment import try_lock


@contextlib.contextmanager
def held_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder `<prefix>XXXXXXXX` in `parent`, removed at the end. Those of processes that
    were killed are removed before. Raises OSError."""
    parent.mkdir(mode=0o750, exist_ok=True)
    for left in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # held, or removed by another that starts now
            fd = _lock(left)
            shutil.rmtree(left, ignore_errors=True)
            os.close(fd)
    folder, fd = _new(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(fd)


def _new(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with contextlib.suppress(OSError):  # one that starts now took it for left behind
            return folder, _lock(folder)


def _lock(folder: Path) -> int:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    if try_lock(fd, folder):
        return fd
    os.close(fd)
    raise BlockingIOError(f"{folder} is held")
