"""Where rows of the spool go that memory has no room for: within bounds, and not the last there is.

The disk is the one that ingest writes to. Who fills it stops the events that come in.
"""

import os
from pathlib import Path

from report.problem import Code, Problem


class SpillFolder:
    """Counts the bytes of the files in it. For one thread at a time."""

    def __init__(self, folder: Path, bytes_max: int, disk_free_bytes_min: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._disk_free_bytes_min = disk_free_bytes_min
        self._files = 0  # ever
        self._bytes = 0

    def place(self, size: int) -> Path:
        """A new file's path, for rows that take so many bytes at most. Raises Problem."""
        if self._bytes + size > self._bytes_max:
            raise Problem(Code.NO_ROOM, f"More than {self._bytes_max} bytes of the spool's rows.")
        found = os.statvfs(self._folder)
        if found.f_bavail * found.f_frsize - size < self._disk_free_bytes_min:
            raise Problem(Code.NO_ROOM, "The disk has no room for the spool's rows.")
        self._files += 1
        return self._folder / f"spool-{self._files}.parquet"

    def took(self, size: int) -> None:
        """A file of so many bytes was written, or removed where negative."""
        self._bytes += size
