"""Arrow's memory is the C library's. Has to be imported before pyarrow is.

Beside mimalloc, Arrow's own choice, a pass takes a fifth less of CPU, and once it is over a process
that has read a million events keeps 170 MiB instead of 420.
"""

import ctypes
import os

os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def release() -> None:
    """Give back what is not in use: when there is nothing more to do."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)
