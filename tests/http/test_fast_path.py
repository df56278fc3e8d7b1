"""Both paths of POST /event are one endpoint: the same answers, byte for byte, in order."""

import gzip
import re

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.event import decode_line
from tests.http.messages import EVENT, LAST, chunked, request, run, statuses
from tests.http.wire import converse, spool_bytes, worker

PATHS = ["fast", "app", "uvicorn"]


def ask(tmp_path, path, *chunks, **options):
    """What a worker answers to these chunks, and then to a last request."""

    async def main():
        async with worker(path, tmp_path, **options) as ingest:
            return await converse(ingest, [*chunks, LAST])

    return run(main())


def lines(tmp_path):
    return [decode_line(line) for line in spool_bytes(tmp_path).splitlines()]


@pytest.fixture(params=PATHS)
def path(request):
    return request.param


# One suite, every path


def test_an_event_is_accepted(path, tmp_path):
    answers = ask(tmp_path, path, request())
    assert answers.startswith(
        b"HTTP/1.1 202 Accepted\r\n"
        b"date: Sun, 22 Nov 2026 08:00:00 GMT\r\n"
        b"access-control-allow-origin: *\r\n"
        b"content-length: 21\r\n"
        b"content-type: application/json\r\n"
        b"\r\n"
        b'{"status":"accepted"}'
    )
    assert [event.site_id for event in lines(tmp_path)] == ["blog"]


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        (request(b"{"), 400, "malformed_json"),
        (request(b""), 400, "malformed_json"),
        (request(b"\xff"), 400, "malformed_json"),
        (request(b"[" * 60_000), 422, "invalid_event"),
        (request(b'{"site_id":"\xed\xa0\x80","event_type":"b"}'), 400, "malformed_json"),
        (request(b"{}"), 422, "invalid_event"),
        (request(b"[]"), 422, "invalid_event"),
        (request(b'{"site_id":"a","event_type":"b","user":"c"}'), 422, "invalid_event"),
        (request(b'{"site_id":"a\\n","event_type":"b"}'), 422, "invalid_event"),
        (request(b'{"site_id":"a\x7f","event_type":"b"}'), 422, "invalid_event"),
        (
            request(b'{"site_id":"a","event_type":"b","timestamp":"2999-01-01T00:00:00Z"}'),
            422,
            "timestamp_out_of_range",
        ),
        (
            request(b'{"site_id":"a","event_type":"b","timestamp":"1969-12-31T23:59:59Z"}'),
            422,
            "timestamp_out_of_range",
        ),
        (chunked(gzip.compress(b" " * 65_537), (b"Content-Encoding: gzip",)), 413, "too_large"),
        (request(headers=(b"Content-Encoding: br",)), 415, "unsupported_encoding"),
        (request(target=b"/event?ack=safe"), 400, "bad_parameter"),
        (request(target=b"/event?ack=written&ack=written"), 400, "bad_parameter"),
        (request(target=b"/event?x=1"), 400, "bad_parameter"),
        (request(target=b"/events/"), 404, "not_found"),
        (request(method=b"GET", body=b""), 405, "method_not_allowed"),
    ],
)
def test_what_is_refused_has_its_code(path, tmp_path, message, status, code):
    answers = ask(tmp_path, path, message)
    assert statuses(answers) == [status, 200]
    head, _, rest = answers.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    problem = orjson.loads(rest[: rest.index(b"}") + 1])
    assert (problem["status"], problem["code"]) == (status, code)
    assert lines(tmp_path) == []


@pytest.mark.parametrize("ack", ["written", "synced"])
def test_requests_in_one_packet_are_answered_in_their_order(path, tmp_path, ack):
    event = b'{"site_id":"%d","event_type":"b"}'
    packet = b"".join(
        request(event % n, target=b"/event?ack=" + ack.encode())
        + request(b"{", target=b"/event?ack=synced")
        + request(method=b"GET", target=b"/health", body=b"")
        + request(target=b"/nowhere")
        for n in range(20)
    )
    assert statuses(ask(tmp_path, path, packet)) == [202, 400, 200, 404] * 20 + [200]
    assert [event.site_id for event in lines(tmp_path)] == [str(n) for n in range(20)]


def test_a_client_may_close_after_its_event(path, tmp_path):
    answers = ask(tmp_path, path, request(headers=(b"Connection: close",)))
    assert statuses(answers) == [202]
    assert b"\r\nconnection: close\r\n" in answers


def test_http_1_0_is_answered_and_closed(path, tmp_path):
    answers = ask(tmp_path, path, request(version=b"1.0", headers=(b"Connection: keep-alive",)))
    assert statuses(answers) == [202]


def test_a_client_that_waits_for_100_continue_is_told_to_go_on(path, tmp_path):
    answers = ask(tmp_path, path, request(headers=(b"Expect: 100-continue",)))
    assert statuses(answers) == [100, 202, 200]


@pytest.mark.parametrize("origins", ["*", "https://a.example,https://b.example"])
def test_the_pages_of_allowed_origins_may_read_the_answer(path, tmp_path, origins):
    packet = b"".join(
        request(body, headers=(b"Origin: " + origin,))
        for body in (EVENT, b"{")
        for origin in (b"https://a.example", b"https://c.example")
    )
    answers = ask(tmp_path, path, packet, cors_origins=origins)
    allowed = re.findall(rb"access-control-allow-origin: (.*)\r\n", answers)
    assert allowed == ([b"*"] * 5 if origins == "*" else [b"https://a.example"] * 2)


def test_a_browser_may_ask_first_whether_it_may_send_json(path, tmp_path):
    asks = request(
        method=b"OPTIONS",
        body=b"",
        headers=(
            b"Origin: https://a.example",
            b"Access-Control-Request-Method: POST",
            b"Access-Control-Request-Headers: content-type",
        ),
    )
    answers = ask(tmp_path, path, asks)
    assert statuses(answers) == [204, 200]
    assert b"access-control-allow-origin: *\r\n" in answers
    assert b"access-control-allow-methods: POST\r\n" in answers
    assert b"access-control-allow-headers: content-type, content-encoding\r\n" in answers
    assert b"access-control-max-age: 86400\r\n" in answers


def test_a_client_that_offers_http_2_is_answered_in_http_1_1(tmp_path):
    message = request(headers=(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"))
    assert statuses(ask(tmp_path, "fast", message + request())) == [202, 202, 200]
    assert len(lines(tmp_path)) == 2


# Both paths against each other, over requests of every kind in pieces of every size

MESSAGES = [
    request(),
    request(headers=(b"Content-Type: text/plain", b"Origin: https://a.example")),
    request(target=b"/event?ack=written"),
    request(target=b"/event?ack=synced"),
    request(target=b"/event?ack=safe"),
    request(target=b"/event?"),
    request(target=b"http://x/event"),
    request(target=b"/%65vent"),
    request(b'{"site_id":"a","event_type":"b","timestamp":"2026-01-01T00:00:00+02:00"}'),
    request(b"{"),
    request(b"{}"),
    request(b"["),
    request(b""),
    chunked(),
    chunked(b"{}"),
    request(gzip.compress(EVENT, mtime=0), headers=(b"Content-Encoding: gzip",)),
    request(headers=(b"Expect: 100-continue",)),
    request(headers=(b"X: 1", b"X: 2")),
    request(EVENT + b"\n{}\n" + EVENT, target=b"/events"),
    request(b"[" + EVENT + b"]", target=b"/events?ack=synced"),
    request(method=b"OPTIONS", body=b""),
    request(method=b"HEAD", body=b"", target=b"/health"),
    request(method=b"GET", body=b"", target=b"/ready"),
    request(method=b"OPTIONS", body=b"", target=b"*"),
    request(method=b"DELETE", body=b""),
    request(target=b"/nowhere"),
]
ENDINGS = [
    LAST,
    request(headers=(b"Connection: close",)),
    request(version=b"1.0"),
]
GUARDED = [
    request(headers=(b"Host: y",)),
    request(headers=(b"Content-Length: 5",)),
    request(headers=(b"Transfer-Encoding: chunked", b"Content-Length: 5")),
    request(headers=(b"Transfer-Encoding: gzip",)),
    request(headers=(b" folded: 1",)),
    request().replace(b"\r\n", b"\n"),
    request().replace(b"Host: x\r\n", b""),
    request(version=b"2.0"),
    request(headers=(b"X: " + b"x" * 17_000,)),
    request(headers=(b"X: 1",) * 101),
    request(b" " * 70_000),
    chunked(b" " * 70_000),
    b"nonsense\r\n\r\n",
    b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
]
UPGRADES = [
    request(headers=(b"Connection: Upgrade", b"Upgrade: h2c")),
    request(headers=(b"Connection: Upgrade", b"Upgrade: websocket"), target=b"/events"),
]


@st.composite
def streams(draw, messages, endings):
    """A stream of requests and where it is cut."""
    stream = b"".join(draw(st.lists(st.sampled_from(messages), max_size=8)))
    stream += draw(st.sampled_from(endings))
    cuts = sorted(draw(st.sets(st.integers(1, len(stream) - 1), max_size=12)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def assert_same(tmp_path_factory, chunks, paths):
    """The spool may differ in nothing but the times of receipt."""
    seen = []
    for path in paths:
        folder = tmp_path_factory.mktemp("data")
        answers = run(talk(path, folder, chunks))
        events = [(e.site_id, e.event_type, e.path) for e in lines(folder)]
        seen.append((answers, events))
    assert all(other == seen[0] for other in seen[1:])
    assert not [status for status in statuses(seen[0][0]) if status >= 500]


async def talk(path, folder, chunks):
    async with worker(path, folder) as ingest:
        return await converse(ingest, chunks)


GIVEN = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@GIVEN
@given(streams(MESSAGES, ENDINGS))
def test_no_client_can_tell_the_fast_path_from_the_app(tmp_path_factory, chunks):
    assert_same(tmp_path_factory, chunks, ["fast", "app", "uvicorn"])


@GIVEN
@given(streams(MESSAGES + UPGRADES, ENDINGS + GUARDED))
def test_nor_when_its_requests_are_refused(tmp_path_factory, chunks):

    assert_same(tmp_path_factory, chunks, ["fast", "app"])
