"""Compacts once and dies of SIGKILL at a given change of the disk.

    python -m tests.compactor.killed < lines of "N DATA_DIR"

Each line is a process of its own, forked from one that has all modules loaded: what ends is the
same, and begins in a tenth of the time. Prints how it ended, as subprocess has it: 0 when there
were fewer changes than N + 1.
"""

import os
import sys
import threading

from compactor.lake.disk import Disk
from compactor.scheduler import Scheduler
from compactor.settings import Settings
from tests.dying import dying


def run(n: int, data_dir: str) -> int:
    pid = os.fork()
    if pid == 0:
        Scheduler(Settings(data_dir=data_dir), threading.Event(), dying(Disk, n)).run_once()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    for line in sys.stdin:
        n, data_dir = line.rstrip("\n").split(" ", 1)
        print(run(int(n), data_dir), flush=True)
