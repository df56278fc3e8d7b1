"""What lies among the lake's files and is no part: left out of every answer, and said."""

import logging
from collections.abc import Iterable

logger = logging.getLogger("report.parts")


class ForeignFiles:
    """By their paths below the folder of events. For one thread at a time but for `reasons`."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def add(self, path: str, reason: str) -> None:
        if path not in self.reasons:
            logger.warning("left out of every answer: %s is %s", path, reason)
            self.reasons[path] = reason

    def keep(self, folder: str, present: Iterable[str]) -> None:
        """`present` is all that is in the folder now; the folder of events itself has no name."""
        names = {*present}
        for path in list(self.reasons):
            within, _, name = path.rpartition("/")
            if within == folder and name not in names:
                self.reasons.pop(path, None)

    def remove(self, path: str) -> None:
        self.reasons.pop(path, None)
