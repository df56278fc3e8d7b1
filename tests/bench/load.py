"""A load in Python, for a fixed rate, and where wrk is not installed."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import orjson
import uvloop

HEAD = (
    b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nContent-Length: %d\r\n\r\n"
)


class Client(asyncio.Protocol):
    """One connection: a request at a time, or as many as are due."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.sent: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def send(self) -> None:
        self.sent.append(time.perf_counter())
        self.transport.write(self.load.next())

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        answers = data.count(b"HTTP/1.1 ")
        self.load.errors += answers - data.count(b"HTTP/1.1 202 ")
        for began in self.sent[:answers]:
            self.load.latencies.append(now - began)
        del self.sent[:answers]
        if not self.load.rate and now < self.load.until:
            self.send()


class Load:
    def __init__(self, messages: list[bytes], seconds: float, rate: float) -> None:
        self.messages = messages
        self.seconds = seconds
        self.rate = rate
        self.until = 0.0
        self.latencies: list[float] = []
        self.errors = 0
        self.count = 0

    def next(self) -> bytes:
        self.count += 1
        return self.messages[self.count % len(self.messages)]

    async def run(self, port: int, connections: int) -> float:
        loop = asyncio.get_running_loop()
        made = [
            await loop.create_connection(lambda: Client(self), "127.0.0.1", port)
            for _ in range(connections)
        ]
        clients = [client for _, client in made]
        began = time.perf_counter()
        self.until = began + self.seconds
        if not self.rate:
            for client in clients:
                client.send()
        while (now := time.perf_counter()) < self.until:
            while self.rate and self.count < (now - began) * self.rate:
                clients[self.count % connections].send()
            await asyncio.sleep(0)
        await asyncio.sleep(0.2)
        for transport, _ in made:
            transport.close()
        return self.seconds


def python_load(
    port: int, target: str, connections: int, seconds: float, bodies: Path, rate: float = 0
) -> list[float]:
    """Requests, errors, time in µs, and the 50th, 99th and 99.9th percentile of latency in µs."""
    command = ["taskset", "-c", "1", sys.executable, "-m", "tests.bench.load"]
    arguments = [port, target, connections, seconds, bodies, rate]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, check=True)
    figures: list[float] = orjson.loads(done.stdout)
    return figures


def main(port: str, target: str, connections: str, seconds: str, bodies: str, rate: str) -> None:
    contents = [
        body.replace(b"\x1e", b"\n") for body in Path(bodies).read_bytes().split(b"\n") if body
    ]
    messages = [HEAD % (target.encode(), len(body)) + body for body in contents]
    load = Load(messages, float(seconds), float(rate))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        spent_s = runner.run(load.run(int(port), int(connections)))
    latencies = sorted(load.latencies)
    percentiles = [latencies[int(len(latencies) * p)] * 1e6 for p in (0.5, 0.99, 0.999)]
    figures = [len(latencies), load.errors, spent_s * 1e6, *percentiles]
    sys.stdout.buffer.write(orjson.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
