"""What a server refuses, as an exception that says how it is told (RFC 9457)."""

from enum import StrEnum

DETAIL_CHARACTERS_MAX = 500  # a detail may quote the request, and must not become as large


class Code(StrEnum):
    """What a server of HTTP refuses, whatever it serves. A stage has these among its own."""

    MALFORMED_REQUEST = "malformed_request"
    MALFORMED_JSON = "malformed_json"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    REQUEST_TIMEOUT = "request_timeout"
    TOO_LARGE = "too_large"
    HEADERS_TOO_LARGE = "headers_too_large"
    OVERLOADED = "overloaded"
    STOPPING = "stopping"


class Refused(Exception):
    """A request is not served; `detail` is written for its sender."""

    def __init__(self, code: str, detail: str, **headers: str) -> None:
        detail = detail[:DETAIL_CHARACTERS_MAX]
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = headers  # of the answer, beside those that every refusal has
