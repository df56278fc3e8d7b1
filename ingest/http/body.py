"""A request's body without its Content-Encoding, and never more of it than its limit."""

import zlib

from ingest.http.message import too_large
from ingest.http.problem import Code, Refused

GZIP_MEMBERS_MAX = 256  # bgzip makes 161 of 10 MiB; each costs as much time as 10 KiB of text
PIECE_BYTES = 64 * 1024  # zlib copies what it was given and has not used


def decoded(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """`encoding` is the Content-Encoding (RFC 9110, 8.4). Raises Refused."""
    match encoding.strip().lower():
        case "identity" | "":
            if len(body) > bytes_max:
                raise too_large(bytes_max)
            return body
        case "gzip" | "x-gzip":
            try:
                return _gunzip(body, bytes_max)
            except zlib.error as error:
                raise _malformed(f"The body is not gzip: {error}.") from None
        case _:
            raise Refused(Code.UNSUPPORTED_ENCODING, "Send the body as it is, or with gzip.")


def _gunzip(body: bytes, bytes_max: int) -> bytes:
    """RFC 1952: one or more members. Stops inflating one byte past the limit."""
    plain = bytearray()
    given = memoryview(body)
    members = 0
    while True:
        members += 1
        if members > GZIP_MEMBERS_MAX:
            raise _malformed(f"A gzip body may have {GZIP_MEMBERS_MAX} members.")
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        while given and not member.eof:
            piece = given[:PIECE_BYTES]
            plain += member.decompress(piece, bytes_max + 1 - len(plain))
            if len(plain) > bytes_max:
                raise too_large(bytes_max)
            unused = len(member.unused_data) + len(member.unconsumed_tail)
            given = given[len(piece) - unused :]
        if not member.eof:
            raise _malformed("The gzip body ends too early.")
        if not given:
            return bytes(plain)


def _malformed(detail: str) -> Refused:
    return Refused(Code.MALFORMED_JSON, detail)
