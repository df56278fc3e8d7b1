"""Requests as bytes, and answers as what matters of them."""

import asyncio
import re

import orjson
import uvloop

EVENT = b'{"site_id":"blog","event_type":"page_view","path":"/"}'


def request(body=EVENT, target=b"/event", method=b"POST", version=b"1.1", headers=()):
    lines = [b"%s %s HTTP/%s" % (method, target, version), b"Host: x", *headers]
    if method == b"POST" and not any(b"ransfer-" in line for line in headers):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body=EVENT, headers=(), **more):
    coded = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return request(coded, headers=(b"Transfer-Encoding: chunked", *headers), **more)


def get(target, *headers):
    return request(target=target, method=b"GET", body=b"", headers=headers)


HEALTH = get(b"/health")
LAST = get(b"/health", b"Connection: close")


def statuses(answers):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answers)]


def refusal(answers):
    """Status and code of the last answer, which is a problem document and ends the connection."""
    head, _, body = answers.rpartition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head, answers[-500:]
    assert b"connection: close" in head
    problem = orjson.loads(body)
    return problem["status"], problem["code"]


def run(coroutine):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)
