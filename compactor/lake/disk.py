"""Every call with which the compactor changes a disk. A seam: tests record, stop or lose them."""

import ctypes
import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

STAGED = ".staged"

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h
# EXDEV: a folder of a lower layer of overlayfs
_NOT_SUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV)


class CannotExchange(Exception):
    """The file system has no atomic exchange of two names: NFS and most network file systems."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(f"{path}: its file system cannot exchange two folders in one step")


class Disk:
    def write_file(self, path: Path, fill: Callable[[BinaryIO], object]) -> None:
        """A new file, or a new content for a staged one; not yet synced."""
        with path.open("wb") as file:
            fill(file)

    def sync_file(self, path: Path) -> None:
        _sync(path, os.O_RDONLY)

    def sync_folder(self, folder: Path) -> None:
        _sync(folder, os.O_RDONLY | os.O_DIRECTORY)

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o750)

    def remove_folder(self, folder: Path) -> None:
        folder.rmdir()

    def truncate(self, path: Path, size: int) -> None:
        os.truncate(path, size)

    def link(self, source: Path, target: Path) -> None:
        """Raises FileExistsError: a name is never given a second content."""
        os.link(source, target)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def exchange(self, one: Path, other: Path) -> None:
        """Swap two names in one step, renameat2(2). Raises CannotExchange."""
        names = os.fsencode(one), os.fsencode(other)
        try:
            renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
        except AttributeError:
            raise CannotExchange(other) from None  # the C library has no renameat2
        if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
            return
        number = ctypes.get_errno()
        if number in _NOT_SUPPORTED:
            raise CannotExchange(other)
        raise OSError(number, os.strerror(number), str(other))

    def can_exchange(self, folder: Path) -> bool:
        """Tried with two empty folders in `folder`, where a crash may leave them."""
        one, other = (Path(tempfile.mkdtemp(prefix="exchange-", dir=folder)) for _ in range(2))
        try:
            self.exchange(one, other)
            return True
        except CannotExchange:
            return False
        finally:
            one.rmdir()
            other.rmdir()

    def unlink(self, path: Path) -> None:
        path.unlink()

    def free_bytes(self, folder: Path) -> int:
        status = os.statvfs(folder)
        return status.f_bavail * status.f_frsize


def _sync(path: Path, flags: int) -> None:
    fd = os.open(path, flags)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
