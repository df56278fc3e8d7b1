"""Compacts once and dies of SIGKILL at a given change of the disk.

    python -m tests.compactor.killed DATA_DIR N

Exits with 0 when there were fewer changes than N + 1.
"""

import sys
import threading

from compactor.lake.disk import Disk
from compactor.scheduler import Scheduler
from compactor.settings import Settings
from tests.dying import dying

if __name__ == "__main__":
    data_dir, n = sys.argv[1:]
    Scheduler(Settings(data_dir=data_dir), threading.Event(), dying(Disk, int(n))).run_once()
