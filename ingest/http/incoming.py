"""From the bytes of one connection to its requests: llhttp parses them, in pieces."""

import asyncio
from collections.abc import Mapping

import httptools

from ingest.http.exchange import Exchange
from ingest.http.limits import Limits
from ingest.http.message import (
    HEAD_BYTES_MAX,
    HEADERS_MAX,
    Headers,
    Target,
    check_head,
    encode_request_head,
    headers_too_large,
    is_short,
    malformed,
    too_large,
)
from ingest.http.problem import Refused

IDLE, HEAD, BODY, PARTING = range(4)  # what a connection waits for
PIECE_BYTES = 1024  # parsed at once, unless it is all of one body: at most 40 requests


class Incoming(asyncio.Protocol):
    """What is received is parsed when `may_parse` says so, and else is kept in `unparsed`. A
    request that is complete is handed to `received`, one that cannot be to `refuse`."""

    def __init__(self, limits: Limits, body_bytes_max: Mapping[bytes | None, int]) -> None:
        # Shared by all connections
        self.limits = limits
        self.body_bytes_max = body_bytes_max  # by path; None is any other

        # What it waits for, and since when
        self.phase = IDLE
        self.waits_since = limits.now
        self.is_last = False  # there is no request after the one that was parsed last

        # What was received, and is no request yet
        self.parser = httptools.HttpRequestParser(self)
        self.is_parsing = False
        self.unparsed = bytearray()
        self.incoming: Exchange | None = None  # its body is being received

        # Of the request that is being received
        self.url = b""
        self.headers: Headers = []
        self.undigested_bytes = 0  # since a head or a piece of a body was complete
        self.head_is_counted = False  # in full; not if it began behind another request
        self.content_length = 0
        self.body = b""
        self.body_limit = 0

    # What a connection does

    @property
    def at_work(self) -> bool:
        raise NotImplementedError

    def may_parse(self) -> bool:
        raise NotImplementedError

    def exchange_of(
        self, method: bytes, target: Target, version: str, headers: Headers, keep_alive: bool
    ) -> Exchange:
        raise NotImplementedError

    def received(self, exchange: Exchange) -> None:
        raise NotImplementedError

    def refuse(self, refused: Refused) -> None:
        raise NotImplementedError

    # From bytes to requests

    def parse_on(self) -> None:
        """Of what is kept, one piece after the other, until there is a request to answer."""
        self.is_parsing = True
        try:
            while self.unparsed and self.may_parse() and not self.is_last:
                size = max(PIECE_BYTES, self.content_length - len(self.body))
                piece = bytes(self.unparsed[:size])
                del self.unparsed[:size]
                self.parse(piece)
        finally:
            self.is_parsing = False

    def parse(self, data: bytes) -> None:
        while data:
            self.undigested_bytes += len(data)
            try:
                self.parser.feed_data(data)
                if self.undigested_bytes > HEAD_BYTES_MAX:
                    self.refuse(headers_too_large())
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade() + data[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                if not self.is_last:
                    self.refuse(_reason(error))
                return

    def _without_upgrade(self) -> bytes:
        """RFC 9110, 7.8: an Upgrade may be ignored. But llhttp has skipped the body, so the
        request is read again without that header (Java's HttpClient sends it to everyone)."""
        headers = [header for header in self.headers if header[0] != b"upgrade"]
        method, version = self.parser.get_method(), self.parser.get_http_version()
        self.parser = httptools.HttpRequestParser(self)
        return encode_request_head(method, self.url, version, headers)

    # Parser callbacks. What they raise arrives in parse.

    def on_message_begin(self) -> None:
        self.phase, self.waits_since = HEAD, self.limits.now
        self.head_is_counted = self.undigested_bytes > 0
        self.url = b""
        self.headers = []
        self.content_length = 0
        self.body = b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self.is_last:
            raise malformed("There was to be no request after the last one")
        if len(self.headers) > HEADERS_MAX or not self.is_head_short():
            raise headers_too_large()
        method, version = self.parser.get_method(), self.parser.get_http_version()
        target = check_head(method, self.url, version, self.headers)
        self.body_limit = self.body_bytes_max.get(target.path, self.body_bytes_max[None])
        self.content_length = int(dict(self.headers).get(b"content-length", 0))
        if self.content_length > self.body_limit:
            raise too_large(self.body_limit)
        self.phase, self.waits_since = BODY, self.limits.now
        self.undigested_bytes = 0
        if self.parser.should_upgrade():
            return  # it is read again
        keep_alive = version != "1.0" and self.parser.should_keep_alive()
        headers, self.headers = self.headers, []  # what follows are trailers
        self.incoming = self.exchange_of(method, target, version, headers, keep_alive)
        if not self.at_work:
            self.incoming.tell_to_continue()

    def is_head_short(self) -> bool:
        counted = self.head_is_counted and self.undigested_bytes <= HEAD_BYTES_MAX
        return counted or is_short(self.url, self.headers)

    def on_body(self, body: bytes) -> None:
        self.undigested_bytes = 0
        if not self.body:
            self.body = body
            return
        if isinstance(self.body, bytes):
            self.body = bytearray(self.body)  # type: ignore[assignment]  # which grows in place
        self.body += body
        if len(self.body) > self.body_limit:
            raise too_large(self.body_limit)

    def on_message_complete(self) -> None:
        self.phase, self.waits_since = IDLE, self.limits.now
        self.undigested_bytes = 0
        exchange, self.incoming = self.incoming, None
        if exchange is None:
            return  # it is read again
        exchange.body, exchange.body_bytes = self.body, len(self.body)
        self.body, self.content_length = b"", 0
        self.is_last = not exchange.keep_alive
        self.received(exchange)

    def forget_incoming(self) -> None:
        """Half a request, and what comes behind it."""
        self.incoming = None
        self.body = b""
        self.unparsed.clear()


def _reason(error: httptools.HttpParserError) -> Refused:
    if not isinstance(error, httptools.HttpParserCallbackError):
        return malformed(f"llhttp says: {error}")
    if not isinstance(error.__context__, Refused):
        raise error
    return error.__context__
