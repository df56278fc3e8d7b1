"""Clients that stop: to send, to read, or to leave room for others."""

import asyncio
import socket
import threading
from contextlib import ExitStack

import httpx2
import pytest

from ingest.disk import Disk
from tests.http.messages import HEALTH, LAST, chunked, get, refusal, request, run, statuses
from tests.http.wire import ACCEPTED, OURS, converse, read_all, spool_bytes, until, worker
from tests.processes import running, wait_for

SHORT = {"headers_s_max": 0.2, "body_s_max": 0.2, "idle_s_max": 0.2, "answer_s_max": 0.2}


@pytest.mark.parametrize("service", OURS)
def test_a_client_that_stops_sending_is_gone_after_its_deadline(service, tmp_path):
    starts = [
        (b"", None),
        (request(), None),
        (b"POST /event HTTP/1.1\r\nHo", "request_timeout"),
        (request()[:-1], "request_timeout"),
        (request(target=b"/events")[:-1], "request_timeout"),
        (chunked()[:-9], "request_timeout"),
        (request() + request()[:-1], "request_timeout"),
        (HEALTH + HEALTH[:-1], "request_timeout"),
    ]

    async def stop(server, start, code):
        client, _ = await server.connect()
        with client:
            await asyncio.get_running_loop().sock_sendall(client, start)
            async with asyncio.timeout(5):
                answers = await read_all(client)
        if code:
            assert refusal(answers) == (408, code)
        else:
            assert statuses(answers) == [ACCEPTED[service]] * bool(start)

    async def main():
        async with worker(service, tmp_path, **SHORT) as server:
            await asyncio.gather(*(stop(server, *each) for each in starts))
            await until(lambda: not server.server.connections)
            assert server.state["limits"].held_bytes == 0

    run(main())


LARGE = {"fast": b"/metrics", "app": b"/metrics", "report": b"/dashboard/uPlot.iife.min.js"}


@pytest.mark.parametrize("service", OURS)
def test_a_client_that_reads_no_answers_is_stopped_and_then_gone(service, tmp_path):
    async def main():
        async with worker(service, tmp_path, **SHORT) as server:
            client, connection = await server.connect()
            loop = asyncio.get_running_loop()
            with client:
                flood = asyncio.create_task(loop.sock_sendall(client, get(LARGE[service]) * 50_000))
                await until(lambda: not connection.writable.is_set())
                assert connection.read_paused
                await until(lambda: not server.server.connections)
                with pytest.raises(OSError):
                    async with asyncio.timeout(5):
                        await flood
            assert server.state["limits"].held_bytes == 0

    run(main())


@pytest.mark.parametrize("stage", ["ingest", "report"])
def test_a_client_that_reads_slowly_may_take_as_long_as_it_needs(stage, tmp_path):
    """Through TCP, whose queues hide for long that anything is read."""
    target = {"ingest": b"/metrics", "report": b"/dashboard/uPlot.iife.min.js"}[stage]
    named = {"allowed_hosts": "x"} if stage == "report" else {}
    with running(stage, tmp_path, answer_s_max=0.7, **named) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        client.settimeout(5)
        client.connect(("127.0.0.1", server.port))
        count = 100 if stage == "report" else 600
        threading.Thread(target=client.sendall, args=[get(target) * count + LAST]).start()
        received = b""
        for _ in range(20):
            threading.Event().wait(0.1)
            received += client.recv(8_192)
        while data := client.recv(1 << 20):
            received += data
        assert statuses(received) == [200] * (count + 1)


# Places


@pytest.mark.parametrize("service", OURS)
def test_the_longest_idle_connection_makes_room_for_a_new_one(service, tmp_path):
    async def main():
        async with worker(service, tmp_path, connections_max=16) as server:
            idle = [await server.connect() for _ in range(40)]
            answers = await converse(server, [request(), LAST])
            assert statuses(answers) == [ACCEPTED[service], 200]
            assert len(server.state["limits"].connections) <= 16
            await until(lambda: len(server.server.connections) <= 16)
            for client, _ in idle:
                client.close()

    run(main())


@pytest.mark.parametrize("service", OURS)
@pytest.mark.parametrize(
    "start", [request()[:-1], request(target=b"/events")[:-1], HEALTH[:-1]], ids=["a", "b", "c"]
)
def test_half_requests_make_room_too(service, tmp_path, start):
    async def main():
        async with worker(service, tmp_path, connections_max=20) as server:
            half = [(await server.connect())[0] for _ in range(20)]
            for client in half:
                await asyncio.get_running_loop().sock_sendall(client, start)
            await asyncio.sleep(0)
            answers = await converse(server, [request(), LAST])
            for client in half:
                client.close()
            return answers

    assert statuses(run(main())) == [ACCEPTED[service], 200]


@pytest.mark.parametrize("stage", ["ingest", "report"])
def test_readers_that_read_nothing_make_room_too(stage, tmp_path):
    target = {"ingest": b"/metrics", "report": b"/dashboard/uPlot.iife.min.js"}[stage]
    flood = get(target) * 1500
    with running(stage, tmp_path, connections_max=20) as server, ExitStack() as stack:
        for _ in range(21):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            client.setblocking(False)
            client.send(flood)
        wait_for(lambda: httpx2.get(server.url + "/health").status_code == 200, "a place", 5)
        for _ in range(5):
            assert httpx2.get(server.url + "/health").status_code == 200
        ended = f'{stage}_connections_ended_total{{why="room"}}'
        assert float(wait_for(lambda: metric(server, ended), "its count")) >= 1


def metric(server, name):
    text = httpx2.get(server.url + "/metrics").text
    return next((line.split()[-1] for line in text.splitlines() if line.startswith(name)), None)


class Stuck(Disk):
    """A disk that syncs only when it is told to go on."""

    def __init__(self):
        self.go_on = threading.Event()

    def sync(self, fd):
        self.go_on.wait(10)
        super().sync(fd)


@pytest.mark.parametrize("service", ["fast", "app"])
def test_when_every_connection_is_at_work_a_new_one_is_refused(service, tmp_path):
    async def main():
        disk = Stuck()
        disk.go_on.set()
        async with worker(service, tmp_path, disk, connections_max=16) as server:
            disk.go_on.clear()
            last = request(target=b"/event?ack=synced", headers=(b"Connection: close",))
            busy = [asyncio.create_task(converse(server, [last])) for _ in range(16)]
            connections = server.state["limits"].connections
            await until(lambda: sum(connection.at_work for connection in connections) == 16)
            refused = await converse(server, [LAST])
            disk.go_on.set()
            assert {tuple(statuses(await answers)) for answers in busy} == {(202,)}
            return refused

    assert refusal(run(main())) == (503, "overloaded")


# The end


@pytest.mark.parametrize("service", ["fast", "app"])
def test_a_stop_waits_for_the_answers_that_are_due(service, tmp_path):
    async def main():
        disk = Stuck()
        disk.go_on.set()
        async with worker(service, tmp_path, disk, drain_s_max=0) as server:
            disk.go_on.clear()
            message = request(target=b"/event?ack=synced")
            waiting = asyncio.create_task(converse(server, [message]))
            idle = asyncio.create_task(converse(server, [request()]))
            await until(lambda: spool_bytes(tmp_path).count(b'{"site_id"') == 2)
            for connection in list(server.server.connections):
                connection.shutdown()
            assert statuses(await idle) == [202]
            disk.go_on.set()
            answers = await waiting
            assert statuses(answers)[0] == 202
            assert b"connection: close" in answers

    run(main())


@pytest.mark.parametrize("service", OURS)
def test_a_stop_tells_half_a_request_so(service, tmp_path):
    async def main():
        async with worker(service, tmp_path, drain_s_max=0) as server:
            answers = asyncio.create_task(converse(server, [request()[:-1]]))
            await until(lambda: any(each.phase for each in server.server.connections))
            for connection in list(server.server.connections):
                connection.shutdown()
            return await answers

    assert refusal(run(main())) == (503, "stopping")


@pytest.mark.parametrize("service", OURS)
@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_stop_answers_the_requests_that_are_on_their_way_and_says_which_is_the_last(
    service, count, tmp_path
):
    """Be it that a connection is idle, or that half of a request is there."""

    async def main():
        async with worker(service, tmp_path) as server:
            loop = asyncio.get_running_loop()
            first, rest = request(), request() * count
            for cut in (0, 10):
                client, connection = await server.connect()
                with client:
                    await loop.sock_sendall(client, first + rest[:cut])
                    await until(lambda connection=connection: connection.headers or connection.url)
                    await until(lambda connection=connection: not connection.at_work)
                    connection.shutdown()
                    await asyncio.sleep(0)
                    await loop.sock_sendall(client, rest[cut:])
                    answers = await read_all(client)
                assert statuses(answers) == [ACCEPTED[service]] * (1 + count)
                assert answers.lower().count(b"connection: close") == 1
                last = answers.rpartition(b"HTTP/1.1 ")[2]
                assert b"connection: close" in last.lower()

    run(main())
