"""Every way in which ingest can refuse, and how each one is told: RFC 9457 problem details."""

from enum import StrEnum
from http import HTTPStatus

import orjson

from ingest.http import problem as http

RETRY_AFTER_S = 1


class Refusal(StrEnum):
    """The closed list of error codes. There is no other way for a request to fail."""

    MALFORMED_JSON = "malformed_json"
    INVALID_EVENT = "invalid_event"
    TIMESTAMP_OUT_OF_RANGE = "timestamp_out_of_range"
    TOO_LARGE = "too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    BAD_PARAMETER = "bad_parameter"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    MALFORMED_REQUEST = "malformed_request"
    HEADERS_TOO_LARGE = "headers_too_large"
    REQUEST_TIMEOUT = "request_timeout"
    OVERLOADED = "overloaded"
    STOPPING = "stopping"
    SPOOL_UNAVAILABLE = "spool_unavailable"


STATUS = {
    Refusal.MALFORMED_JSON: HTTPStatus.BAD_REQUEST,
    Refusal.INVALID_EVENT: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.TIMESTAMP_OUT_OF_RANGE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Refusal.UNSUPPORTED_ENCODING: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Refusal.BAD_PARAMETER: HTTPStatus.BAD_REQUEST,
    Refusal.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Refusal.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    Refusal.MALFORMED_REQUEST: HTTPStatus.BAD_REQUEST,
    Refusal.HEADERS_TOO_LARGE: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    Refusal.REQUEST_TIMEOUT: HTTPStatus.REQUEST_TIMEOUT,
    Refusal.OVERLOADED: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.STOPPING: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.SPOOL_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
assert STATUS.keys() == set(Refusal), "a refusal without a status"
assert set(Refusal) >= set(http.Code), "a refusal that only the server knows"

_TITLE = {
    Refusal.MALFORMED_JSON: "The body is not JSON",
    Refusal.INVALID_EVENT: "The event breaks a rule of the schema",
    Refusal.TIMESTAMP_OUT_OF_RANGE: "The timestamp is out of range",
    Refusal.TOO_LARGE: "The request is larger than its limit",
    Refusal.UNSUPPORTED_ENCODING: "The Content-Encoding is not understood",
    Refusal.BAD_PARAMETER: "A query parameter is wrong",
    Refusal.NOT_FOUND: "There is nothing at this path",
    Refusal.METHOD_NOT_ALLOWED: "This path does not take this method",
    Refusal.MALFORMED_REQUEST: "The request is not HTTP as RFC 9112 has it",
    Refusal.HEADERS_TOO_LARGE: "The headers are larger than their limit",
    Refusal.REQUEST_TIMEOUT: "The request did not arrive in time",
    Refusal.OVERLOADED: "Too much is waiting to be written",
    Refusal.STOPPING: "The server is stopping",
    Refusal.SPOOL_UNAVAILABLE: "The spool does not take writes now",
}
assert _TITLE.keys() == set(Refusal), "a refusal without a title"


class Refused(http.Refused):
    """A request, or one event of a batch, is not accepted; `detail` is written for the sender."""

    def __init__(self, refusal: Refusal, detail: str, **headers: str) -> None:
        super().__init__(refusal, detail, **headers)
        self.refusal = refusal


def problem(refused: http.Refused, **more: object) -> bytes:
    """The body of an `application/problem+json` answer (RFC 9457); `more` are extension members."""
    refusal = Refusal(refused.code)
    status = STATUS[refusal]
    return orjson.dumps(
        {
            "title": _TITLE[refusal],
            "status": int(status),
            "detail": refused.detail,
            "code": refusal,
            **more,
        }
    )
