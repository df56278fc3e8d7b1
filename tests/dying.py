"""The seam for sudden death: a Disk whose user gets SIGKILL just before a given change."""

import os
import signal
from typing import Any


def dying(disk: type[Any], n: int) -> Any:
    """An instance of a subclass of `disk`: its n-th call (from 0) is never made."""

    class Dying(disk):  # type: ignore[misc]
        calls_left = n

        def __getattribute__(self, name: str) -> Any:
            if callable(getattr(disk, name, None)) and not name.startswith("_"):
                if self.calls_left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                self.calls_left -= 1
            return super().__getattribute__(name)

    return Dying()
