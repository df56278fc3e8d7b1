"""Restarts ingest again and again under load, and looks for a request that was lost.

    python -m tests.chaos.restart [--requests 100000] [--every-s 0.5] [--workers 1]

This program holds the listening socket, as systemd does, and hands it to each process. By turns
the next process is up before the last one is told to stop (side by side), and the last one has
ended before the next one is started (what `systemctl restart` does). All the while clients send
events: on connections that stay, on a new one for each request, several requests at once, with
ack=synced. A client does what HTTP/1.1 asks of it and no more: it sends nothing after an answer
that says `Connection: close`, and repeats nothing.

Failed is a request without a 202, whatever the reason. In the end the spool has to hold every
event that was acknowledged, once. Exits 1 otherwise.

Not shown: a client whose idle connection ends (after INGEST_DRAIN_S_MAX, INGEST_IDLE_S_MAX) in the
moment in which its next request is on the way; HTTP/1.1 has no remedy, and browsers try again.
"""

import argparse
import asyncio
import socket
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from ingest.event import decode_line
from tests.processes import Stage

CLIENTS = 16
PIPELINED = 8


@dataclass
class Totals:
    sent: int = 0
    acknowledged: set[str] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    restarts: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0


class Client:
    """Sends, and awaits the answers; `at_once` requests in one piece."""

    def __init__(self, name: str, port: int, at_once: int, stays: bool, synced: bool) -> None:
        self.name = name
        self.port = port
        self.at_once = at_once
        self.stays = stays
        self.target = b"/event?ack=synced" if synced else b"/event"
        self.count = 0

    async def run(self, totals: Totals, requests: int) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while totals.sent < requests:
            if streams is None:
                streams = await asyncio.open_connection("127.0.0.1", self.port)
                totals.connections += 1
            began = time.monotonic()
            goes_on = await self._exchange(totals, *streams)
            totals.longest_s = max(totals.longest_s, time.monotonic() - began)
            if not (goes_on and self.stays) or totals.sent >= requests:
                streams[1].close()
                with suppress(OSError):  # what failed was counted
                    await streams[1].wait_closed()
                streams = None

    async def _exchange(
        self, totals: Totals, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """False if no request may follow on this connection."""
        ids = [f"{self.name}-{self.count + n}" for n in range(self.at_once)]
        self.count += self.at_once
        totals.sent += self.at_once
        writer.write(b"".join(map(self._request, ids)))
        goes_on = True
        for n, each in enumerate(ids):
            try:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                totals.failures[type(error).__name__] += len(ids) - n
                return False
            if head.startswith(b"HTTP/1.1 202 "):
                totals.acknowledged.add(each)
            else:
                totals.failures[head.split(b"\r\n")[0].decode()] += 1
            goes_on = b"\r\nconnection: close" not in head.lower()
        return goes_on

    def _request(self, event_id: str) -> bytes:
        body = b'{"site_id":"a","event_type":"page_view","event_id":"%b"}' % event_id.encode()
        head = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
        return head % (self.target, len(body)) + body


class Service:
    """One ingest after the other, on one socket."""

    def __init__(self, data_dir: Path, workers: int) -> None:
        self.data_dir = data_dir
        self.workers = workers
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.stage = self._start()
        self._await_line(self.stage, 0)

    def _start(self) -> Stage:
        return Stage("ingest", self.data_dir, listener=self.listener, workers=self.workers)

    def _await_line(self, stage: Stage, before: int) -> None:
        """Another one answers on this port, too; its log says that the new one is up."""
        line = "Application startup complete"
        while stage.log.read_text().count(line) < before + self.workers:
            assert stage.process.poll() is None, stage.log.read_text()
            time.sleep(0.02)

    def restart(self, side_by_side: bool) -> None:
        before = self.stage.log.read_text().count("Application startup complete")
        if not side_by_side:
            assert self.stage.stop() == 0
        last, self.stage = self.stage, self._start()
        self._await_line(self.stage, before)
        assert last.stop() == 0


def spooled(data_dir: Path) -> Counter[str]:
    files = (data_dir / "spool").iterdir()
    lines = (line for path in files for line in path.read_bytes().splitlines())
    return Counter(decode_line(line).event_id or "" for line in lines)


async def run(service: Service, requests: int, every_s: float) -> Totals:
    totals = Totals()
    clients = [
        Client(
            f"c{n}",
            service.listener.getsockname()[1],
            at_once=PIPELINED if n % 4 == 3 else 1,
            stays=n % 4 != 0,
            synced=n % 8 in (2, 7),
        )
        for n in range(CLIENTS)
    ]
    running = asyncio.gather(*(client.run(totals, requests) for client in clients))
    while not running.done():
        await asyncio.wait([running], timeout=every_s)
        side_by_side = totals.restarts.total() % 2 == 0
        await asyncio.to_thread(service.restart, side_by_side)
        totals.restarts["side by side" if side_by_side else "one after the other"] += 1
    await running
    return totals


def rolling_restarts(data_dir: Path, requests: int, every_s: float, workers: int = 1) -> Totals:
    """What happened; raises AssertionError if an acknowledged event is not kept exactly once."""
    service = Service(data_dir, workers)
    try:
        totals = uvloop.run(run(service, requests, every_s))
        assert service.stage.stop() == 0, service.stage.log.read_text()
    finally:
        if service.stage.process.poll() is None:
            service.stage.kill()
        service.listener.close()
    kept = spooled(data_dir)
    assert {kept[each] for each in totals.acknowledged} == {1}
    return totals


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--every-s", type=float, default=0.5)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        totals = rolling_restarts(
            Path(folder), arguments.requests, arguments.every_s, arguments.workers
        )
    print(f"{totals.sent:,} requests on {totals.connections:,} connections")
    print(f"restarts: {', '.join(f'{n} {how}' for how, n in totals.restarts.items())}")
    print(f"failed: {totals.failures.total()} {dict(totals.failures) or ''}")
    print(f"longest wait of a request: {totals.longest_s:.2f} s")
    return 1 if totals.failures else 0


if __name__ == "__main__":
    sys.exit(main())
