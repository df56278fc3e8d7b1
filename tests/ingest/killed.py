"""Appends numbered events, prints the number of each that is acknowledged, and dies of SIGKILL.

    python -m tests.ingest.killed DATA_DIR N

Dies at the N-th change of the disk; exits with 0 when there were fewer changes than N + 1.
"""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime

from ingest.disk import Disk
from ingest.receipt import Receipt, to_line
from ingest.settings import Settings
from ingest.spool import Spool
from ingest.telemetry import Metrics
from tests.dying import dying

EVENTS = 12


async def append_all(spool: Spool) -> None:
    for number in range(EVENTS):
        event = {"site_id": "a", "event_type": "page_view", "user_id": str(number)}
        line = to_line(json.dumps(event).encode(), Receipt(datetime.now(UTC)))
        acknowledged = asyncio.get_running_loop().create_future()
        spool.append(line, number % 2 == 1, acknowledged.set_result)
        assert await acknowledged is None
        os.write(1, b"%d\n" % number)


async def main(data_dir: str, n: int) -> None:
    # a new segment every few lines, and syncs between them
    settings = Settings(data_dir=data_dir, segment_bytes_max=600, sync_interval_s=0.001)
    spool = Spool(settings, Metrics(), disk=dying(Disk, n))
    spool.open()
    await append_all(spool)
    await spool.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
