"""Files that stay while they are read, whatever becomes of the lake: hard links of our own."""

import errno
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from compactor.lake.format import Lake
from report.snapshot.listed_part import ListedPart
from report.snapshot.segment_rows import Spilled


class Pinned:
    """A folder like the lake's, with the parts of a snapshot, until `close`."""

    def __init__(self, lake: Lake, scratch: Path) -> None:
        self._original = lake
        self.folder = Path(tempfile.mkdtemp(prefix="pinned-", dir=scratch))
        self.lake = Lake(self.folder)
        self._closed = False

    def hold(self, parts: Sequence[ListedPart]) -> None:
        """Raises FileNotFoundError when one has gone already; may be called again then."""
        if self._closed:  # who wanted them has left, and nobody would remove them
            raise FileNotFoundError(self.folder)
        for part in parts:
            target = self.lake.path(part.part)
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):  # the same: a name never has a second content
                _link(self._original.path(part.part), target)

    def hold_spilled(self, spilled: Sequence[Spilled]) -> list[Spilled]:
        """The same rows in files that stay."""
        held = [replace(each, path=self.folder / each.path.name) for each in spilled]
        for old, new in zip(spilled, held, strict=True):
            _link(old.path, new.path)
        return held

    def close(self) -> None:
        self._closed = True
        shutil.rmtree(self.folder, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        target.symlink_to(source)  # the lake is on another disk: then its parts are not held
