"""Every call with which the compactor changes a disk. A seam: tests record, stop or lose them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

STAGED = ".staged"


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
        folder.mkdir(mode=0o750, exist_ok=True)

    def truncate(self, path: Path, size: int) -> None:
        os.truncate(path, size)

    def link(self, source: Path, target: Path) -> None:
        """Raises FileExistsError: a name is never given a second content."""
        os.link(source, target)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def unlink(self, path: Path) -> None:
        path.unlink()


def _sync(path: Path, flags: int) -> None:
    fd = os.open(path, flags)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
