"""Parts that cannot be read: each is said once, and the segments that wait for it are known."""

import logging
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from compactor.lake.format import UnreadablePart
from ingest.segment import SegmentName

logger = logging.getLogger("compactor")

Stamp = tuple[int, int, int]


class Obstacles:
    """Of one process. An obstacle is gone once its file has gone, or is another one."""

    def __init__(self) -> None:
        self._stamps: dict[Path, Stamp | None] = {}
        self._waiting: dict[Path, set[SegmentName]] = {}

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def kept_back(self) -> set[SegmentName]:
        """Segments that have rows of a date whose part cannot be read."""
        return {name for names in self._waiting.values() for name in names}

    def meet(self, error: UnreadablePart, segments: Collection[SegmentName] = ()) -> None:
        """Something of this part's date could not be done: these segments wait for it, say."""
        if error.path not in self._stamps:
            self._stamps[error.path] = _stamp(error.path)
            logger.error(
                "%s; its date (%s) stays as it is, and %d segments with rows of it in the spool, "
                "until it is mended or moved out of the lake",
                error,
                error.path.parent.name,
                len(segments),
            )
        self._waiting.setdefault(error.path, set()).update(segments)

    def forget_mended(self) -> None:
        for path in [path for path, stamp in self._stamps.items() if _stamp(path) != stamp]:
            logger.info("%s is gone or another file now: its date goes on", path)
            del self._stamps[path]
            self._waiting.pop(path, None)

    def without(self, segments: Iterable[SegmentName]) -> list[SegmentName]:
        kept_back = self.kept_back
        return [name for name in segments if name not in kept_back]


def _stamp(path: Path) -> Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
