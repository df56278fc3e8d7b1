"""Who is answered: by the name that is asked for, or by a token."""

import socket

import pytest

from tests.processes import running
from tests.report.holding import asking


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    with running(
        "report", tmp_path_factory.mktemp("data"), allowed_hosts="stats.example"
    ) as report:
        yield report


def answer_to(report, host):
    asks = f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", report.port), timeout=5) as client:
        client.sendall(asks.encode())
        return client.makefile("rb").read()


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
    answer = answer_to(report, host)
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert (status == 421) == (b'"code":"unknown_host"' in answer)


def test_with_a_token_every_name_is_answered(tmp_path):
    with asking(tmp_path, token="secret") as client:
        headers = {"authorization": "Bearer secret", "host": "stats.example"}
        assert client.get("/sites", headers=headers).status_code == 200
