"""What a stranger sends is bounded before it is kept, and costs the others no time."""

import asyncio
import gzip
import re
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from tests.http.messages import EVENT, HEALTH, LAST, chunked, refusal, request, run, statuses
from tests.http.wire import ACCEPTED, OURS, converse, read_all, until, worker
from tests.processes import running

STAGES = ["ingest", "report"]
MIB = 1 << 20


def peak_bytes(process):
    """VmHWM: the most that it ever had in memory."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


@contextmanager
def slowest_health(stage):
    """The longest that GET /health took while the block ran, in seconds, as the one entry."""
    longest, done = [0.0], threading.Event()

    def ask():
        with httpx2.Client(base_url=stage.url, timeout=60) as client:
            while not done.is_set():
                started = time.perf_counter()
                assert client.get("/health").status_code == 200
                longest[0] = max(longest[0], time.perf_counter() - started)
                done.wait(0.02)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield longest
    finally:
        done.set()
        asking.join()


@pytest.mark.parametrize("stage", STAGES)
def test_a_flood_of_pipelined_requests_takes_its_own_bytes_and_delays_nobody(stage, tmp_path):
    flood = HEALTH * (250_000 // len(HEALTH))
    with running(stage, tmp_path) as server, ExitStack() as stack:
        before = peak_bytes(server.process)
        with slowest_health(server) as longest:
            for _ in range(40):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                client.setblocking(False)
                client.send(flood)
            time.sleep(0.5)
        grown = peak_bytes(server.process) - before
        print(f"{stage}: {grown / MIB:.0f} MiB, {longest[0]:.2f} s")
        assert grown < 40 * len(flood) * 3
        assert longest[0] < 1


def member(data=b""):
    return gzip.compress(data, compresslevel=1, mtime=0)


@pytest.mark.parametrize("service", ["fast", "app"])
def test_a_gzip_body_of_empty_members_costs_no_time(service, tmp_path):
    """20 bytes each: 2 MiB of them took a second."""
    members = gzip.compress(b"", mtime=0) * (2 * MIB // 20)
    message = request(members, target=b"/events", headers=(b"Content-Encoding: gzip",))

    async def main():
        async with worker(service, tmp_path) as ingest:
            started = time.process_time()
            answers = await converse(ingest, [message, LAST])
            return answers, time.process_time() - started

    answers, took = run(main())
    assert statuses(answers) == [400, 200]
    assert took < 0.3


@pytest.mark.parametrize("count", [256, 257])
def test_a_gzip_body_may_have_as_many_members_as_its_limit_says(count, tmp_path):
    members = gzip.compress(EVENT + b"\n", mtime=0) * count

    async def main():
        async with worker("fast", tmp_path) as ingest:
            headers = (b"Content-Encoding: gzip",)
            message = request(members, target=b"/events", headers=headers)
            return await converse(ingest, [message, LAST])

    assert statuses(run(main())) == [202 if count == 256 else 400, 200]


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_the_bytes_of_a_chunked_body_are_counted_as_they_come(encoding, tmp_path):
    """Compressed, they had no limit: 40 MiB of gzip members without content were taken."""
    empty = gzip.compress(b"", mtime=0) * 1_600
    chunk = b"%x\r\n%s\r\n" % (len(empty), empty)
    head = chunked(target=b"/events", headers=(b"Content-Encoding: " + encoding.encode(),))
    head = head[: head.index(b"\r\n\r\n") + 4]

    async def main():
        async with worker("fast", tmp_path) as ingest:
            body = [chunk] * (11 * MIB // len(chunk)) + [b"0\r\n\r\n"]
            return await converse(ingest, [head, *body, LAST])

    assert refusal(run(main())) == (413, "too_large")


def test_a_gzip_bomb_stops_at_the_limit(tmp_path):
    bomb = gzip.compress(b" " * (10 << 20) + b" ")
    message = request(bomb, target=b"/events", headers=(b"Content-Encoding: gzip",))

    async def main():
        async with worker("app", tmp_path) as ingest:
            return await converse(ingest, [message, LAST])

    assert statuses(run(main())) == [413, 200]


@pytest.mark.parametrize("service", ["fast", "app"])
def test_bodies_that_come_slowly_share_a_limit_and_whole_events_are_not_touched_by_it(
    service, tmp_path
):
    start = request(b" " * 65_536)[:-1]

    async def main():
        async with worker(service, tmp_path, pending_bytes_max=MIB) as ingest:
            clients = [(await ingest.connect())[0] for _ in range(20)]
            refused = 0
            for client in clients:
                await asyncio.get_running_loop().sock_sendall(client, start)
                await asyncio.sleep(0.01)
                with suppress(BlockingIOError):
                    refused += b"overloaded" in client.recv(4096)
            assert 0 < refused < 10
            assert ingest.state["limits"].held_bytes <= MIB
            assert statuses(await converse(ingest, [request(), LAST])) == [202, 200]
            for client in clients:
                client.close()
            await until(lambda: ingest.state["limits"].held_bytes == 0)

    run(main())


@pytest.mark.parametrize("service", OURS)
def test_of_the_bodies_that_fill_the_memory_the_slowest_makes_room(service, tmp_path):
    start = request(b" " * 60_000, target=b"/events")[:-1]

    async def main():
        async with worker(service, tmp_path, pending_bytes_max=MIB) as server:
            loop = asyncio.get_running_loop()
            stalled = [await server.connect() for _ in range(17)]
            for client, _ in stalled:
                await loop.sock_sendall(client, start)
            await until(lambda: server.state["limits"].held_bytes > 900_000)
            await until(lambda: not any(connection.pace.bytes for _, connection in stalled))
            answers = await converse(server, [start, b" ", LAST])
            refused = (client for client, connection in stalled if not connection.held_bytes)
            told = await read_all(next(refused))
            for client, _ in stalled:
                client.close()
            return answers, told

    answers, told = run(main())
    assert statuses(answers) == [ACCEPTED[service], 200]
    assert refusal(told) == (503, "overloaded")
