"""A folder's listing is kept under the stamp that the folder had, for as long as it has that."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

# A folder that changed this shortly before it was listed may have changed again within the same
# tick of the clock that stamps it: its listing is not kept.
SETTLED_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes with every change of a folder."""

    inode: int
    device: int
    changed_ns: int

    @classmethod
    def of(cls, folder: Path) -> tuple["Stamp", bool]:
        """The stamp, and whether a listing made from now on may be kept under it.

        Raises FileNotFoundError.
        """
        now_ns = time.time_ns()
        status = os.stat(folder)
        stamp = cls(status.st_ino, status.st_dev, status.st_mtime_ns)
        return stamp, now_ns - stamp.changed_ns > SETTLED_NS
