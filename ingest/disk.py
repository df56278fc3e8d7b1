"""Every call that changes the spool's disk, and how much lies there."""

import os
from pathlib import Path


class Disk:
    """A seam: tests pass one that is full, or broken."""

    def create(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        os.fdatasync(fd)

    def sync_folder(self, folder: Path) -> None:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def unlink(self, path: Path) -> None:
        path.unlink()


def folder_bytes(folder: Path) -> int:
    """The sizes of its files, 0 if it is not there."""
    try:
        with os.scandir(folder) as entries:
            return sum(_size(entry) for entry in entries)
    except FileNotFoundError:
        return 0


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:  # closed or released in this moment
        return 0
