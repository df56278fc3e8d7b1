"""Connections that are slow, too many, or ask with a head that is too large or has a wrong name."""

import socket
from contextlib import ExitStack
from select import select

import httpx2
import pytest

from tests.processes import running, wait_for
from tests.report.holding import asking


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    settings = {"headers_s_max": 0.5, "connections_max": 20, "allowed_hosts": "stats.example"}
    with running("report", folder, **settings) as report:
        yield report


def connect(report):
    return socket.create_connection(("127.0.0.1", report.port), timeout=5)


def answer_to(report, request):
    with connect(report) as client:
        client.sendall(request)
        return client.makefile("rb").read()


def answers_health(client):
    answer = b""
    while b'{"status":"ok"}' not in answer:
        received = client.recv(4096)
        if not received:
            return False
        answer += received
    return answer.startswith(b"HTTP/1.1 200")


def has_ended(client):
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def ended_of(clients):
    """Those that have something to read, and were sent nothing."""
    return select(clients, [], [], 0)[0]


def request(*lines):
    return "".join(f"{line}\r\n" for line in ["GET /health HTTP/1.1", *lines, ""]).encode()


@pytest.mark.parametrize("sent", [b"", b"GET /health HTTP/1.1\r\nHost: local"])
def test_a_connection_without_a_whole_head_ends_at_its_deadline(report, sent):
    with connect(report) as client:
        client.sendall(sent)
        assert has_ended(client)
    assert httpx2.get(report.url + "/health").status_code == 200


def test_a_head_that_stops_after_an_answer_ends_at_its_deadline_too(report):
    with connect(report) as client:
        client.sendall(request("Host: localhost"))
        assert answers_health(client)
        client.sendall(b"GET /hea")
        assert has_ended(client)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        request(),
        request("Host: localhost", "Host: localhost"),
        request("Host: localhost", "X: " + "x" * 17_000),
        request("Host: localhost", *(f"X-{n}: x" for n in range(100))),
        b"GET /" + b"x" * 17_000,
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["nonsense", "no host", "two hosts", "large head", "many headers", "no end", "no target"],
)
def test_a_head_that_cannot_be_served_is_answered_400(report, sent):
    answer = answer_to(report, sent)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"code":"malformed_request"' in answer


def test_idle_connections_make_room_for_new_ones(tmp_path):
    with running("report", tmp_path, connections_max=20) as report, ExitStack() as stack:
        idle = [stack.enter_context(connect(report)) for _ in range(40)]
        assert httpx2.get(report.url + "/health").status_code == 200
        ended = wait_for(lambda: len(ended := ended_of(idle)) >= 20 and ended, "room", 5)
        kept = next(client for client in idle if client not in ended)
        kept.sendall(request("Host: localhost"))
        assert answers_health(kept)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:8001", 200),
        ("[::1]:8001", 200),
        ("STATS.example", 200),
        ("rebound.example", 421),
        ("rebound.example:8001", 421),
        ("localhost.rebound.example", 421),
        ("[", 421),
        ("", 421),
    ],
)
def test_without_a_token_only_names_of_this_machine_are_answered(report, host, status):
    """Else a web page whose name was rebound to 127.0.0.1 could read everything."""
    answer = answer_to(report, request(f"Host: {host}", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert (status == 421) == (b'"code":"unknown_host"' in answer)


def test_with_a_token_every_name_is_answered(tmp_path):
    with asking(tmp_path, token="secret") as client:
        headers = {"authorization": "Bearer secret", "host": "stats.example"}
        assert client.get("/sites", headers=headers).status_code == 200
