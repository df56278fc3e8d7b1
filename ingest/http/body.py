"""A request's body, decompressed, and never more of it in memory than its limit."""

import zlib
from collections.abc import AsyncIterator

from ingest.http.limits import Limits
from ingest.refusal import Refusal, Refused


async def read_body(
    chunks: AsyncIterator[bytes], encoding: str, bytes_max: int, limits: Limits
) -> bytes:
    """The whole body. `encoding` is the Content-Encoding (RFC 9110, 8.4). Raises Refused."""
    decode = _decoder(encoding, bytes_max)
    body = bytearray()
    held = 0
    try:
        async for chunk in chunks:
            decode(chunk, body)
            if len(body) > bytes_max:
                raise Refused(Refusal.TOO_LARGE, f"The body may have {bytes_max:,} bytes.")
            limits.hold(len(body) - held)
            held = len(body)
        decode(None, body)
        return bytes(body)
    finally:
        limits.release(held)


def _decoder(encoding: str, bytes_max: int) -> "_Identity | _Gzip":
    match encoding.strip().lower():
        case "identity" | "":
            return _Identity()
        case "gzip" | "x-gzip":
            return _Gzip(bytes_max)
        case _:
            raise Refused(Refusal.UNSUPPORTED_ENCODING, "Send the body as it is, or with gzip.")


class _Identity:
    def __call__(self, chunk: bytes | None, body: bytearray) -> None:
        body += chunk or b""


class _Gzip:
    """RFC 1952: one or more members. Stops inflating one byte past the limit."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._member = self._next_member()

    def __call__(self, chunk: bytes | None, body: bytearray) -> None:
        if chunk is None:
            if not self._member.eof:
                raise Refused(Refusal.MALFORMED_JSON, "The gzip body ends too early.")
            return
        try:
            self._inflate(chunk, body)
        except zlib.error as error:
            raise Refused(Refusal.MALFORMED_JSON, f"The body is not gzip: {error}.") from None

    def _inflate(self, chunk: bytes, body: bytearray) -> None:
        while chunk and len(body) <= self._bytes_max:
            if self._member.eof:
                self._member = self._next_member()
            body += self._member.decompress(chunk, self._bytes_max + 1 - len(body))
            chunk = self._member.unconsumed_tail or self._member.unused_data

    @staticmethod
    def _next_member() -> "zlib._Decompress":
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
