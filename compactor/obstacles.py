"""Parts that cannot be read: each is said once, and the segments that wait for it are known."""

import logging
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from compactor.lake.footer import UnreadablePart
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

    def __contains__(self, path: Path) -> bool:
        return path in self._stamps

    @property
    def kept_back(self) -> set[SegmentName]:
        """Segments that have rows of dates of a part that cannot be read."""
        return {name for names in self._waiting.values() for name in names}

    def meet(self, error: UnreadablePart, segments: Collection[SegmentName] = ()) -> None:
        """Something of this part's dates could not be done: these segments wait for it, say."""
        if error.path not in self._stamps:
            self._stamps[error.path] = _stamp(error.path)
            logger.error(
                "%s; its dates stay as they are, and %d segments with rows of them in the spool, "
                "until it is mended or moved out of the lake",
                error,
                len(segments),
            )
        self._waiting.setdefault(error.path, set()).update(segments)

    def forget_mended(self) -> None:
        for path in [path for path, stamp in self._stamps.items() if _stamp(path) != stamp]:
            logger.info("%s is gone or another file now: its dates go on", path)
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
