"""Every way in which report can refuse, and how each one is told: RFC 9457 problem details."""

from enum import StrEnum
from http import HTTPStatus

import msgspec
from msgspec import Struct

from ingest.http import problem as http

RETRY_AFTER_S = 1


class Code(StrEnum):
    """The closed list of error codes. There is no other way for a request to fail."""

    MALFORMED_REQUEST = "malformed_request"
    MALFORMED_JSON = "malformed_json"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    REQUEST_TIMEOUT = "request_timeout"
    TOO_LARGE = "too_large"
    HEADERS_TOO_LARGE = "headers_too_large"
    UNKNOWN_HOST = "unknown_host"
    BAD_PARAMETER = "bad_parameter"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    OVERLOADED = "overloaded"
    NO_ROOM = "no_room"
    STOPPING = "stopping"
    LAKE_UNAVAILABLE = "lake_unavailable"
    INTERNAL = "internal"  # a bug


STATUS = {
    Code.MALFORMED_REQUEST: HTTPStatus.BAD_REQUEST,
    Code.MALFORMED_JSON: HTTPStatus.BAD_REQUEST,
    Code.UNSUPPORTED_ENCODING: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Code.REQUEST_TIMEOUT: HTTPStatus.REQUEST_TIMEOUT,
    Code.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.HEADERS_TOO_LARGE: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    Code.UNKNOWN_HOST: HTTPStatus.MISDIRECTED_REQUEST,
    Code.BAD_PARAMETER: HTTPStatus.BAD_REQUEST,
    Code.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    Code.OVERLOADED: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.NO_ROOM: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.STOPPING: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.LAKE_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}
assert STATUS.keys() == set(Code), "a code without a status"
assert set(Code) >= set(http.Code), "a code that only the server knows"

_TITLE = {
    Code.MALFORMED_REQUEST: "The request is not HTTP as RFC 9112 has it",
    Code.MALFORMED_JSON: "The body is not JSON",
    Code.UNSUPPORTED_ENCODING: "The Content-Encoding is not understood",
    Code.REQUEST_TIMEOUT: "The request did not arrive in time",
    Code.TOO_LARGE: "The request is larger than its limit",
    Code.HEADERS_TOO_LARGE: "The headers are larger than their limit",
    Code.UNKNOWN_HOST: "This service does not go by that name",
    Code.BAD_PARAMETER: "A query parameter is wrong",
    Code.UNAUTHORIZED: "A token is needed",
    Code.NOT_FOUND: "There is nothing at this path",
    Code.METHOD_NOT_ALLOWED: "This path does not take this method",
    Code.OVERLOADED: "The question takes too long, or too many are asked at once",
    Code.NO_ROOM: "What is not compacted yet has no room",
    Code.STOPPING: "The server is stopping",
    Code.LAKE_UNAVAILABLE: "The stored events cannot be read now",
    Code.INTERNAL: "This should not have happened",
}
assert _TITLE.keys() == set(Code), "a code without a title"


class ProblemDetails(Struct, frozen=True):
    """A problem as it is told."""

    title: str
    status: int
    detail: str
    code: str


class Problem(http.Refused):
    """A request that is not answered; `detail` is written for whoever asked."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(code, detail)
        self.code: Code = code

    @property
    def status(self) -> int:
        return int(STATUS[self.code])

    def body(self) -> bytes:
        """The body of an `application/problem+json` answer."""
        told = ProblemDetails(_TITLE[self.code], self.status, self.detail, self.code)
        return msgspec.json.encode(told)
