"""What a connection may not do: every limit has its answer, and nobody else pays for it."""

import asyncio
import gzip
import threading
from contextlib import suppress

import orjson
import pytest

from ingest.disk import Disk
from tests.ingest.test_protocol import EVENT, LAST, chunked, request, run, statuses
from tests.ingest.wire import converse, read_all, spool_bytes, until, worker

SHORT = {"headers_s_max": 0.2, "body_s_max": 0.2, "idle_s_max": 0.2, "answer_s_max": 0.2}


@pytest.fixture(params=["fast", "app"])
def path(request):
    return request.param


def refusal(answers):
    head, _, body = answers.rpartition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    problem = orjson.loads(body)
    return problem["status"], problem["code"]


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "malformed_request"),
        (b"\x16\x03\x01\x02\x00", 400, "malformed_request"),
        (request().replace(b"Host: x\r\n", b""), 400, "malformed_request"),
        (request(headers=(b"Host: x",)), 400, "malformed_request"),
        (request().replace(b"\r\n", b"\n"), 400, "malformed_request"),
        (request(headers=(b" folded: 1",)), 400, "malformed_request"),
        (request(headers=(b"Host : x",)), 400, "malformed_request"),
        (request(headers=(b"X: a\0b",)), 400, "malformed_request"),
        (request(headers=(b"Content-Length: 1",)), 400, "malformed_request"),
        (request(headers=(b"Content-Length: 54",)), 400, "malformed_request"),
        (request().replace(b"Length: 54", b"Length: 54, 54"), 400, "malformed_request"),
        (request().replace(b"Length: 54", b"Length: +54"), 400, "malformed_request"),
        (request().replace(b"Length: 54", b"Length: -1"), 400, "malformed_request"),
        (request().replace(b"Length: 54", b"Length: " + b"9" * 30), 400, "malformed_request"),
        (
            chunked().replace(b"Host: x", b"Host: x\r\nContent-Length: 4"),
            400,
            "malformed_request",
        ),
        (chunked().replace(b"chunked", b"gzip, chunked, x"), 400, "malformed_request"),
        (chunked().replace(b"chunked", b"gzip"), 400, "malformed_request"),
        (chunked().replace(b"\r\n36\r\n", b"\r\nxyz\r\n"), 400, "malformed_request"),
        (chunked().replace(b"HTTP/1.1", b"HTTP/1.0"), 400, "malformed_request"),
        (request(version=b"2.0"), 400, "malformed_request"),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed_request"),
        (request(headers=(b"X: 1",) * 101), 431, "headers_too_large"),
        (request(headers=(b"X: " + b"x" * 16_384,)), 431, "headers_too_large"),
        (request(target=b"/event?" + b"x" * 16_384), 431, "headers_too_large"),
        (request(headers=(b"Content-Length: 65537",), method=b"PUT"), 413, "too_large"),
        (
            request(headers=(b"Content-Length: 10485761",), method=b"PUT", target=b"/events"),
            413,
            "too_large",
        ),
    ],
)
def test_a_request_that_is_not_to_be_trusted_is_refused(path, tmp_path, message, status, code):
    async def main():
        async with worker(path, tmp_path) as ingest:
            whole = await converse(ingest, [request() + message + LAST])
            bytewise = await converse(ingest, [request(), *(bytes([b]) for b in message), LAST])
            return whole, bytewise

    for answers in run(main()):
        assert statuses(answers) == [202, status]  # and what is behind it is not read
        assert refusal(answers) == (status, code)
    assert spool_bytes(tmp_path).count(b"\n") == 2


@pytest.mark.parametrize(
    ("start", "more"),
    [
        pytest.param(b"POST /event HTTP/1.1\r\nHost: x\r\nX: ", b"x" * 1000, id="a header"),
        pytest.param(b"POST /event HTTP/1.1\r\nHost: x\r\n", b"X: 1\r\n" * 99, id="headers"),
        pytest.param(b"POST /", b"x" * 1000, id="a target"),
        pytest.param(chunked()[:-2] + b"X: ", b"x" * 1000, id="a trailer"),
        pytest.param(chunked()[:-2], b"X: 1\r\n" * 99, id="trailers"),
        pytest.param(chunked()[:-63] + b"36;", b"x" * 1000, id="a chunk extension"),
    ],
)
def test_what_never_ends_is_refused_at_its_limit(path, tmp_path, start, more):
    async def main():
        async with worker(path, tmp_path) as ingest:
            return await converse(ingest, [start, *[more] * 40])

    answers = run(main())
    assert refusal(answers) == (431, "headers_too_large")


# Time


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (b"", None),
        (request(), None),
        (b"POST /event HTTP/1.1\r\nHo", "request_timeout"),
        (request()[:-1], "request_timeout"),
        (request(target=b"/events")[:-1], "request_timeout"),
        (chunked()[:-9], "request_timeout"),
        (request() + request()[:-1], "request_timeout"),
    ],
)
def test_a_client_that_stops_sending_is_gone_after_its_deadline(path, tmp_path, start, code):
    async def main():
        async with worker(path, tmp_path, **SHORT) as ingest:
            client, _ = await ingest.connect()
            with client:
                await asyncio.get_running_loop().sock_sendall(client, start)
                async with asyncio.timeout(3):
                    answers = await read_all(client)
            await until(lambda: not ingest.server.connections)
            assert ingest.state["limits"].held_bytes == 0
            return answers

    answers = run(main())
    if code:
        assert refusal(answers) == (408, code)
    else:
        assert statuses(answers) == [202] * bool(start)


def test_a_client_that_reads_no_answers_is_stopped_and_then_gone(path, tmp_path):
    async def main():
        async with worker(path, tmp_path, **SHORT) as ingest:
            client, connection = await ingest.connect()
            loop = asyncio.get_running_loop()
            with client:
                flood = asyncio.create_task(loop.sock_sendall(client, request() * 100_000))
                await until(lambda: connection.flow.write_paused)
                assert connection.flow.read_paused
                await until(lambda: not ingest.server.connections)
                with pytest.raises(OSError):
                    async with asyncio.timeout(5):
                        await flood

    run(main())
    assert spool_bytes(tmp_path).count(b"\n") < 20_000


def test_a_flood_of_pipelined_requests_is_not_queued_without_end(path, tmp_path):
    async def main():
        async with worker(path, tmp_path) as ingest:
            client, connection = await ingest.connect()
            loop = asyncio.get_running_loop()
            health = request(method=b"GET", target=b"/health", body=b"")
            with client:
                answers = asyncio.create_task(read_all(client))
                flood = asyncio.create_task(loop.sock_sendall(client, health * 5_000 + LAST))
                longest = 0
                while not flood.done():
                    longest = max(longest, len(connection.pipeline))
                    await asyncio.sleep(0)
                assert longest < 256 * 1024 / len(health)  # what is read at once
                async with asyncio.timeout(30):
                    return await answers

    assert statuses(run(main())) == [200] * 5_001


# Places


def test_the_longest_idle_connection_makes_room_for_a_new_one(path, tmp_path):
    async def main():
        async with worker(path, tmp_path, connections_max=16) as ingest:
            idle = [await ingest.connect() for _ in range(40)]
            answers = await converse(ingest, [request(), LAST])
            assert statuses(answers) == [202, 200]
            assert len(ingest.state["limits"].connections) <= 16
            await until(lambda: len(ingest.server.connections) <= 16)
            for client, _ in idle:
                client.close()

    run(main())


class Stuck(Disk):
    """A disk that syncs only when it is told to go on."""

    def __init__(self):
        self.go_on = threading.Event()

    def sync(self, fd):
        self.go_on.wait(10)
        super().sync(fd)


def test_when_every_connection_is_at_work_a_new_one_is_refused(path, tmp_path):
    async def main():
        disk = Stuck()
        disk.go_on.set()
        async with worker(path, tmp_path, disk, connections_max=16) as ingest:
            disk.go_on.clear()
            last = request(target=b"/event?ack=synced", headers=(b"Connection: close",))
            busy = [asyncio.create_task(converse(ingest, [last])) for _ in range(16)]
            connections = ingest.state["limits"].connections
            await until(lambda: sum(connection.at_work for connection in connections) == 16)
            refused = await converse(ingest, [LAST])
            disk.go_on.set()
            assert {tuple(statuses(await answers)) for answers in busy} == {(202,)}
            return refused

    assert refusal(run(main())) == (503, "overloaded")


# Memory


def test_bodies_that_come_slowly_share_a_limit_and_whole_events_are_not_touched_by_it(
    path, tmp_path
):
    async def main():
        async with worker(path, tmp_path, pending_bytes_max=1 << 20) as ingest:
            loop = asyncio.get_running_loop()
            slow = [await ingest.connect() for _ in range(20)]
            start = request(b" " * 65_536)[:-1]
            refused = 0
            for client, _ in slow:
                await loop.sock_sendall(client, start)
                await asyncio.sleep(0.01)
                with suppress(BlockingIOError):
                    refused += b"overloaded" in client.recv(4096)
            assert 0 < refused < 10
            assert ingest.state["limits"].held_bytes <= 1 << 20
            assert statuses(await converse(ingest, [request(), LAST]))[0] == 202 or path == "app"
            for client, _ in slow:
                client.close()
            await until(lambda: ingest.state["limits"].held_bytes == 0)

    run(main())


def test_a_gzip_bomb_stops_at_the_limit(path, tmp_path):
    bomb = gzip.compress(b" " * (10 << 20) + b" ")
    message = request(bomb, target=b"/events", headers=(b"Content-Encoding: gzip",))

    async def main():
        async with worker(path, tmp_path) as ingest:
            return await converse(ingest, [message, LAST])

    assert statuses(run(main())) == [413, 200]


# The end


def test_a_stop_waits_for_the_answers_that_are_due(path, tmp_path):
    async def main():
        disk = Stuck()
        disk.go_on.set()
        async with worker(path, tmp_path, disk) as ingest:
            disk.go_on.clear()
            message = request(target=b"/event?ack=synced")
            waiting = asyncio.create_task(converse(ingest, [message]))
            idle = asyncio.create_task(converse(ingest, [request()]))
            await until(lambda: spool_bytes(tmp_path).count(EVENT[:20]) == 2)
            for connection in list(ingest.server.connections):
                connection.shutdown()
            assert statuses(await idle) == [202]
            disk.go_on.set()
            answers = await waiting
            assert statuses(answers)[0] == 202
            assert b"connection: close" in answers

    run(main())
