"""Requests that come together, and clients that end their half: each has its answer, in order."""

import asyncio
import socket

import pytest

from tests.http.messages import HEALTH, LAST, get, refusal, request, run, statuses
from tests.http.wire import ACCEPTED, OURS, converse, read_all, worker
from tests.processes import running

UPGRADE = (b"Connection: Upgrade", b"Upgrade: websocket")


@pytest.mark.parametrize("service", OURS)
def test_every_request_of_a_flood_is_answered(service, tmp_path):
    async def main():
        async with worker(service, tmp_path) as server:
            client, connection = await server.connect()
            loop = asyncio.get_running_loop()
            with client:
                answers = asyncio.create_task(read_all(client))
                flood = asyncio.create_task(loop.sock_sendall(client, HEALTH * 3_000 + LAST))
                longest = 0
                while not flood.done():
                    longest = max(longest, len(connection.queue))
                    await asyncio.sleep(0)
                assert longest < 40  # what a piece holds, of a read of 256 KiB
                async with asyncio.timeout(30):
                    return await answers

    assert statuses(run(main())) == [200] * 3_001


@pytest.mark.parametrize("service", OURS)
def test_thousands_of_upgrades_are_answered_in_http_1_1(service, tmp_path, caplog):
    async def main():
        async with worker(service, tmp_path) as server:
            asks = get(b"/health", *UPGRADE) * 2_000 + request(headers=UPGRADE)
            return await converse(server, [asks + LAST])

    assert statuses(run(main())) == [200] * 2_000 + [ACCEPTED[service], 200]
    assert not caplog.records


@pytest.mark.parametrize("stage", ["ingest", "report"])
def test_nothing_that_a_stranger_sends_is_a_line_in_the_log(stage, tmp_path):
    strange = [get(b"/health", *UPGRADE), b"nonsense\r\n\r\n", get(b"/nowhere"), HEALTH[:-1]]
    with running(stage, tmp_path) as server:
        said = server.log.read_text()
        for each in strange * 3:
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(each)
                client.shutdown(socket.SHUT_WR)
                assert client.makefile("rb").read()
        assert server.log.read_text() == said


# The client ends its half

SENT = [
    [request()],
    [request(target=b"/event?ack=synced")],
    [request(target=b"/events")],
    [request() * 3],
    [request(), HEALTH, request()],
    [request() + HEALTH],
    [HEALTH + request()],
    [request(target=b"/event?ack=synced") + HEALTH + request(target=b"/events")],
    [HEALTH * 100],
]
HALF = [b"", b"GET /x", b"GET /x HTTP/1.1\r\nHo", request()[:-5], request(target=b"/events")[:-5]]


@pytest.mark.parametrize("service", OURS)
def test_a_client_that_closes_its_half_gets_all_of_its_answers(service, tmp_path):
    """As `nc` does when its input ends; and half a request behind them costs them nothing."""

    async def main():
        async with worker(service, tmp_path) as server:
            for sent in SENT:
                for half in HALF:
                    answers = await converse(server, [*sent, half], half_close=True)
                    count = sum(each.count(b" HTTP/1.1\r\n") for each in sent)
                    assert len(statuses(answers)) == count + bool(half), (sent, half)
                    assert set(statuses(answers)[:count]) <= {200, ACCEPTED[service]}
                    if half:
                        assert refusal(answers) == (400, "malformed_request")
            for sent in SENT[:6]:
                answers = await converse(server, [b"".join(sent) + HALF[1]], half_close=True)
                assert statuses(answers)[-1] == 400
                assert statuses(answers)[0] in (200, ACCEPTED[service])

    run(main())
