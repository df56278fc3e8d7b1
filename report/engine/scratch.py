"""A private folder for what DuckDB and we put on disk for a while: data/tmp/report-XXXXXXXX/."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


class Scratch:
    """Held by a lock for the life of the process; what dead processes left is removed."""

    def __init__(self, data_dir: Path) -> None:
        """Raises OSError when the data folder does not take files."""
        parent = data_dir / "tmp"
        parent.mkdir(mode=0o750, exist_ok=True)
        for left in parent.glob("report-*"):
            _remove_unless_held(left)
        self.folder = Path(tempfile.mkdtemp(prefix="report-", dir=parent))
        self._fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._fd)


def _remove_unless_held(folder: Path) -> None:
    with suppress(OSError):  # held, or removed by another that starts now
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(fd)
