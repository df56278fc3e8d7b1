"""What is not HTTP as RFC 9112 has it is refused with its reason, and answered once, by each."""

import itertools
import random

import pytest

from tests.http.messages import EVENT, LAST, chunked, get, refusal, request, run, statuses
from tests.http.wire import ACCEPTED, OURS, converse, worker

MALFORMED = (400, "malformed_request")
LARGE_HEAD = (431, "headers_too_large")
LARGE_BODY = (413, "too_large")
BIG = b"Content-Length: 10485761"

REFUSED = [
    (b"nonsense\r\n\r\n", MALFORMED),
    (b"\x16\x03\x01\x02\x00", MALFORMED),
    (request().replace(b"Host: x\r\n", b""), MALFORMED),
    (request(headers=(b"Host: x",)), MALFORMED),
    (request().replace(b"\r\n", b"\n"), MALFORMED),
    (request(headers=(b" folded: 1",)), MALFORMED),
    (request(headers=(b"Host : x",)), MALFORMED),
    (request(headers=(b"X: a\0b",)), MALFORMED),
    (request(headers=(b"X: a\rb",)), MALFORMED),
    (request(headers=(b"Content-Length: 1",)), MALFORMED),
    (request(headers=(b"Content-Length: 54",)), MALFORMED),
    (request().replace(b"Length: 54", b"Length: 54, 54"), MALFORMED),
    (request().replace(b"Length: 54", b"Length: +54"), MALFORMED),
    (request().replace(b"Length: 54", b"Length: -1"), MALFORMED),
    (request().replace(b"Length: 54", b"Length: 0x36"), MALFORMED),
    (request().replace(b"Length: 54", b"Length: " + b"9" * 30), MALFORMED),
    (chunked().replace(b"Host: x", b"Host: x\r\nContent-Length: 4"), MALFORMED),
    (chunked(headers=(b"Transfer-Encoding: identity",)), MALFORMED),
    (chunked().replace(b"chunked", b"gzip, chunked, x"), MALFORMED),
    (chunked().replace(b"chunked", b"gzip"), MALFORMED),
    (chunked().replace(b"\r\n36\r\n", b"\r\nxyz\r\n"), MALFORMED),
    (chunked().replace(b"\r\n36\r\n", b"\r\n0x36\r\n"), MALFORMED),
    (chunked().replace(b"HTTP/1.1", b"HTTP/1.0"), MALFORMED),
    (request(version=b"2.0"), MALFORMED),
    (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", MALFORMED),
    (b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n", MALFORMED),
    (request(headers=(b"X: 1",) * 101), LARGE_HEAD),
    (request(headers=(b"X: " + b"x" * 16_384,)), LARGE_HEAD),
    (request(target=b"/event?" + b"x" * 16_384), LARGE_HEAD),
    (request(headers=(BIG,), method=b"PUT", target=b"/events"), LARGE_BODY),
]


@pytest.mark.parametrize("service", OURS)
def test_a_request_that_is_not_to_be_trusted_is_refused_however_it_is_cut(service, tmp_path):
    async def main():
        async with worker(service, tmp_path) as server:
            for message, expected in REFUSED:
                size = len(message) // 500 + 1
                cuts = [message[n : n + size] for n in range(0, len(message), size)]
                for chunks in ([request() + message + LAST], [request(), *cuts, LAST]):
                    answers = await converse(server, chunks)
                    # what is behind it is not read
                    assert statuses(answers) == [ACCEPTED[service], expected[0]], message
                    assert refusal(answers) == expected, message

    run(main())


@pytest.mark.parametrize("service", OURS)
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
def test_what_never_ends_is_refused_at_its_limit(service, tmp_path, start, more):
    async def main():
        async with worker(service, tmp_path) as server:
            return await converse(server, [start, *[more] * 40])

    assert refusal(run(main())) == LARGE_HEAD


@pytest.mark.parametrize("service", OURS)
def test_a_chunked_body_ends_at_its_limit(service, tmp_path):
    limit = {"report": 64 << 10}.get(service, 10 << 20)
    chunk = b"8000\r\n%s\r\n" % (b" " * 0x8000)

    async def main():
        async with worker(service, tmp_path) as server:
            start = chunked(target=b"/events")
            start = start[: start.index(b"\r\n\r\n") + 4]
            return await converse(server, [start, *[chunk] * (limit // 0x8000 + 2)])

    assert refusal(run(main())) == LARGE_BODY


# Generated: whatever it is, it has one answer, or is refused, and nobody speaks of a bug

CODINGS = [b"chunked", b"identity", b"gzip", b"xchunked", b"chunked\x0b", b"chunked;q=1", b""]
LINES = [
    b"Transfer-Encoding:",
    b"Transfer-Encoding: ",
    b"transfer-encoding:\t",
    b"Transfer-Encoding :",
]
JOINTS = [b"", b",", b", ", b"\r\nTransfer-Encoding: ", b"\r\n ", b"\r"]
HOSTS = [b"x", b"[", b"", b"a@x", b"x:99999", b"\xff\xfe", b"x y", b"[::1]:8"]
ASKED = [b"GET /health", b"GET http://x/health", b"OPTIONS *", b"GET /\xc3\xa9", b"POST /event"]


def codings():
    """Transfer-Encoding in many spellings, with and without a Content-Length beside it."""
    for line, one, joint, other, length in itertools.product(
        LINES, CODINGS, JOINTS, CODINGS[:3], [b"", b"Content-Length: 4\r\n"]
    ):
        head = b"POST /event HTTP/1.1\r\nHost: x\r\n" + length + line + one + joint + other
        yield head + b"\r\n\r\n36\r\n" + EVENT + b"\r\n0\r\n\r\n"


def named():
    for host, asked, version in itertools.product(HOSTS, ASKED, [b"1.0", b"1.1"]):
        yield asked + b" HTTP/" + version + b"\r\nHost: " + host + b"\r\n\r\n"


@pytest.mark.parametrize("service", OURS)
def test_no_spelling_of_a_request_smuggles_another_one_or_finds_a_bug(service, tmp_path, caplog):
    messages = [*random.Random(7).sample(list(codings()), 300), *named()]

    async def main():
        async with worker(service, tmp_path) as server:
            for message in messages:
                answers = await converse(server, [message], half_close=True)
                found = statuses(answers)
                assert found, message
                assert not [status for status in found if status >= 500], message
                # one answer, or one and what its rest was taken for: refused, and the end
                assert len(found) == 1 or found[1:] == [400], (message, found)
                behind = statuses(await converse(server, [message + get(b"/smuggled"), LAST]))
                assert len(behind) <= 3, (message, behind)

    run(main())
    assert not caplog.records
