"""Kills ingest again and again while it is written to, and looks for what it had acknowledged.

    python -m tests.chaos.ingest [--kills 200] [--events 200000] [--seed 1]

Four workers take single events, half of them with ack=synced, from clients that write down the id
of each event that was acknowledged. All the while one worker after the other gets a SIGKILL, and
every twentieth time the whole service does. In the end every id of the journal has to be in the
spool, once. Exits 1 if one is not.

Not shown: the loss of power (SIGKILL leaves the page cache alone), and a disk that lies.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import uvloop

from ingest.event import decode_line
from tests.processes import Stage

CLIENTS = 32
PIPELINED = 8
WHOLE_SERVICE_EVERY = 20


class Chaos:
    def __init__(self, data_dir: Path, kills: int, events: int, seed: int) -> None:
        self.data_dir = data_dir
        self.kills_wanted = kills
        self.events_wanted = events
        self.random = random.Random(seed)
        self.journal = (data_dir / "journal").open("w+")
        self.acknowledged = 0
        self.sent = 0
        self.kills = 0
        self.service = self._start()

    def _start(self) -> Stage:
        return Stage("ingest", self.data_dir, workers=4, segment_bytes_max=1 << 20).wait_until_up()

    @property
    def done(self) -> bool:
        return self.kills >= self.kills_wanted and self.acknowledged >= self.events_wanted

    async def run(self) -> None:
        clients = [asyncio.create_task(self._client(n)) for n in range(CLIENTS)]
        while not self.done:
            await asyncio.sleep(self.random.uniform(0.02, 0.3))
            if self.kills < self.kills_wanted:
                await asyncio.to_thread(self._kill)
        await asyncio.gather(*clients)

    def _kill(self) -> None:
        if (self.kills + 1) % WHOLE_SERVICE_EVERY == 0:
            self.service.kill()
            self.service = self._start()
            self.kills += 1
        elif len(workers := worker_pids(self.service.process.pid)) > 1:
            with suppress(ProcessLookupError):
                os.kill(self.random.choice(workers), signal.SIGKILL)
                self.kills += 1

    async def _client(self, number: int) -> None:
        ack = "synced" if number % 2 else "written"
        while not self.done:
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.service.port)
                try:
                    while not self.done:
                        await self._converse(reader, writer, number, ack)
                finally:
                    writer.close()
                    await writer.wait_closed()
            await asyncio.sleep(0.01)

    async def _converse(self, reader, writer, number: int, ack: str) -> None:
        ids = [f"{number}-{self.sent + n}" for n in range(PIPELINED)]
        self.sent += PIPELINED
        writer.write(b"".join(post(event_id, ack) for event_id in ids))
        for event_id in ids:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
            if head.startswith(b"HTTP/1.1 202 "):
                self.journal.write(event_id + "\n")
                self.acknowledged += 1

    def verdict(self) -> dict[str, int]:
        status = self.service.stop()
        assert status == 0, f"ingest ended with {status}"
        self.journal.seek(0)
        acknowledged = self.journal.read().split()
        found, torn = spool_ids(self.data_dir / "spool")
        return {
            "kills": self.kills,
            "sent": self.sent,
            "acknowledged": len(acknowledged),
            "kept without an acknowledgement": len(found) - len(found.keys() & set(acknowledged)),
            "torn last lines": torn,
            "twice": sum(count - 1 for count in found.values()),
            "lost": len(set(acknowledged) - found.keys()),
        }


def post(event_id: str, ack: str) -> bytes:
    body = b'{"site_id":"chaos","event_type":"page_view","event_id":"%s"}' % event_id.encode()
    return b"POST /event?ack=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (
        ack.encode(),
        len(body),
        body,
    )


def worker_pids(supervisor: int) -> list[int]:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [pid for pid in map(int, children) if is_worker(pid)]


def is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def spool_ids(spool: Path) -> tuple[Counter[str], int]:
    """How often each id is in the spool, and how many segments end in half a line."""
    found: Counter[str] = Counter()
    torn = 0
    for path in spool.iterdir():
        *lines, tail = path.read_bytes().split(b"\n")
        torn += bool(tail)
        found.update(decode_line(line).event_id or "" for line in lines)
    return found, torn


def chaos(data_dir: Path, kills: int, events: int, seed: int = 1) -> dict[str, int]:
    run = Chaos(data_dir, kills, events, seed)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run.run())
        return run.verdict()
    finally:
        run.journal.close()
        if run.service.process.poll() is None:
            run.service.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="footfall-chaos-") as folder:
        totals = chaos(Path(folder), options.kills, options.events, options.seed)
    for name, value in totals.items():
        print(f"{value:>10,}  {name}")
    print(f"{time.monotonic() - started:>10,.0f}  seconds")
    return 1 if totals["lost"] or totals["twice"] else 0


if __name__ == "__main__":
    sys.exit(main())
