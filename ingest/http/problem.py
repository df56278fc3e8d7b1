"""What is refused, and how that is told: RFC 9457 problem details.

Each stage has a closed list of codes: those of `Code`, and its own.
"""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
DETAIL_CHARACTERS_MAX = 500  # a detail may quote the request, and must not become as large
RETRY_AFTER_S = 1


class Code(StrEnum):
    """What a server of HTTP refuses, whatever it serves."""

    BAD_PARAMETER = "bad_parameter"
    MALFORMED_JSON = "malformed_json"
    MALFORMED_REQUEST = "malformed_request"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    TOO_LARGE = "too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    HEADERS_TOO_LARGE = "headers_too_large"
    OVERLOADED = "overloaded"
    STOPPING = "stopping"


class Kind(NamedTuple):
    status: HTTPStatus
    title: str


KINDS: Mapping[str, Kind] = {
    Code.BAD_PARAMETER: Kind(HTTPStatus.BAD_REQUEST, "A query parameter is wrong"),
    Code.MALFORMED_JSON: Kind(HTTPStatus.BAD_REQUEST, "The body is not JSON"),
    Code.MALFORMED_REQUEST: Kind(
        HTTPStatus.BAD_REQUEST, "The request is not HTTP as RFC 9112 has it"
    ),
    Code.NOT_FOUND: Kind(HTTPStatus.NOT_FOUND, "There is nothing at this path"),
    Code.METHOD_NOT_ALLOWED: Kind(
        HTTPStatus.METHOD_NOT_ALLOWED, "This path does not take this method"
    ),
    Code.REQUEST_TIMEOUT: Kind(HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time"),
    Code.TOO_LARGE: Kind(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is larger than its limit"
    ),
    Code.UNSUPPORTED_ENCODING: Kind(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The Content-Encoding is not understood"
    ),
    Code.HEADERS_TOO_LARGE: Kind(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are larger than their limit"
    ),
    Code.OVERLOADED: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "Too much is asked at once"),
    Code.STOPPING: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "The server is stopping"),
}


class Refused(Exception):
    """A request is not served; `detail` is written for its sender."""

    def __init__(self, code: str, detail: str, **headers: str) -> None:
        detail = detail[:DETAIL_CHARACTERS_MAX]
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = headers  # of the answer, beside those that every refusal has


class ProblemDetails(msgspec.Struct, frozen=True):
    """A problem as it is told."""

    title: str
    status: int
    detail: str
    code: str


class Problems:
    """The closed list of a stage: `own` are the kinds of those of its codes that are not shared,
    or are told in other words."""

    def __init__(self, codes: type[StrEnum], own: Mapping[str, Kind]) -> None:
        self._kinds = {**KINDS, **own}
        assert self._kinds.keys() == set(codes), "a code that has no kind, or a kind without a code"
        self.statuses: dict[str, HTTPStatus] = {code: self._kinds[code].status for code in codes}

    def body(self, refused: Refused, **more: object) -> bytes:
        """`more` are extension members."""
        status, title = self._kinds[refused.code]
        told = ProblemDetails(title, status, refused.detail, refused.code)
        return msgspec.json.encode({**msgspec.structs.asdict(told), **more})

    def answer(self, refused: Refused, headers: Mapping[str, str]) -> Response:
        status = self.statuses[refused.code]
        headers = {**headers, **refused.headers}
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["retry-after"] = str(RETRY_AFTER_S)
        return Response(self.body(refused), status, headers, media_type=MEDIA_TYPE)


def of_routing(error: HTTPException, path: str, instead: str) -> Refused:
    """What Starlette's router raises: there is no such path, or not with this method."""
    if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
        return Refused(Code.NOT_FOUND, instead)
    allow = ", ".join(sorted((error.headers or {})["Allow"].split(", ")))
    return Refused(Code.METHOD_NOT_ALLOWED, f"{path} takes {allow}.", allow=allow)
