"""What both ends of an exchange agree on: the bytes of a head (RFC 9112)."""

from http import HTTPStatus
from typing import NamedTuple

import httptools
from starlette.responses import Response

from ingest.http.problem import Code, Refused

HEAD_BYTES_MAX = 16 * 1024  # request line and headers
HEADERS_MAX = 100
STATUS_LINE = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}

Headers = list[tuple[bytes, bytes]]


class Target(NamedTuple):
    path: bytes
    query: bytes


def check_head(method: bytes, url: bytes, version: str, headers: Headers) -> Target:
    """What llhttp leaves to its users: RFC 9112, 3.2 and 6.1. Raises Refused."""
    if version not in ("1.0", "1.1"):
        raise malformed(f"This is HTTP/1.1, not HTTP/{version}")
    names = [name for name, _ in headers]
    if names.count(b"host") > 1 or (version == "1.1" and b"host" not in names):
        raise malformed("HTTP/1.1 needs exactly one Host")
    if version == "1.0" and b"transfer-encoding" in names:
        raise malformed("HTTP/1.0 has no Transfer-Encoding")
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserError:
        parsed = None
    if parsed is None or parsed.path is None or not url.isascii() or method == b"CONNECT":
        raise malformed("The target is not a path")
    return Target(parsed.path, parsed.query or b"")


def is_short(url: bytes, headers: Headers) -> bool:
    size = len(url) + sum(len(name) + len(value) + 4 for name, value in headers)
    return size <= HEAD_BYTES_MAX


def encode_request_head(method: bytes, url: bytes, version: str, headers: Headers) -> bytes:
    head = [method, b" ", url, b" HTTP/", version.encode(), b"\r\n"]
    for name, value in headers:
        head += [name, b": ", value, b"\r\n"]
    return b"".join([*head, b"\r\n"])


def encode(response: Response, default_headers: Headers, keep_alive: bool = True) -> bytes:
    """The bytes of this response."""
    head = [STATUS_LINE[response.status_code]]
    for name, value in [*default_headers, *response.raw_headers]:
        head += [name, b": ", value, b"\r\n"]
    if not keep_alive:
        head.append(b"connection: close\r\n")
    return b"".join([*head, b"\r\n", response.body])


def malformed(detail: str) -> Refused:
    return Refused(Code.MALFORMED_REQUEST, f"{detail}.")


def headers_too_large() -> Refused:
    return Refused(
        Code.HEADERS_TOO_LARGE,
        f"The head may have {HEAD_BYTES_MAX:,} bytes and {HEADERS_MAX} headers.",
    )


def too_large(bytes_max: int) -> Refused:
    return Refused(Code.TOO_LARGE, f"The body may have {bytes_max:,} bytes.")
