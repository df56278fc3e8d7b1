"""Files that stay while they are read, whatever becomes of the lake: hard links of our own.

A hard link can be had on the lake's own disk alone, and of a file that is not ours only where we
may write to it (fs.protected_hardlinks). Elsewhere the file is held open, and reached through that.
"""

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from compactor.lake.format import Part
from compactor.lake.store import Store
from report.snapshot.listed_part import ListedPart
from report.snapshot.spool_rows import Spilled

_CANNOT_LINK = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EMLINK)


class Pinned:
    """The parts and the spilled rows of a snapshot, until `close`."""

    def __init__(self, store: Store, scratch: Path) -> None:
        self._store = store
        self._folder = Path(tempfile.mkdtemp(prefix="pinned-", dir=scratch))
        self._lock = threading.Lock()  # who takes a snapshot may be given up, and go on
        self._open: list[int] = []
        self._closed = False

    def source(self, part: Part) -> Path:
        """Where a part is that is held."""
        return self._store.held(self._folder, part)

    def hold(self, parts: Sequence[ListedPart]) -> None:
        """Raises FileNotFoundError when one has gone already; may be called again then."""
        with self._lock:
            if self._closed:  # who wanted them has left, and nobody would remove them
                raise FileNotFoundError(self._folder)
            for each in parts:
                self._hold(each.part)

    def hold_spilled(self, spilled: Sequence[Spilled]) -> list[Spilled]:
        """The same rows in files that stay. They are our own, and can be linked."""
        held = [replace(each, path=self._folder / each.path.name) for each in spilled]
        with self._lock:
            for old, new in zip(spilled, held, strict=True):
                os.link(old.path, new.path)
        return held

    def close(self) -> None:
        with self._lock:
            self._closed = True
            shutil.rmtree(self._folder, ignore_errors=True)
            while self._open:
                os.close(self._open.pop())

    def _hold(self, part: Part) -> None:
        try:
            self._store.hold([part], self._folder)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            self._hold_open(self._store.source(part), self.source(part))

    def _hold_open(self, source: Path, target: Path) -> None:
        fd = os.open(source, os.O_RDONLY)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                target.symlink_to(f"/proc/self/fd/{fd}")
        except OSError:
            os.close(fd)
            raise
        self._open.append(fd)
