"""Every way in which report can refuse."""

from enum import StrEnum
from http import HTTPStatus

from ingest.http.problem import Kind, Problems, Refused


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
    BAD_QUERY = "bad_query"
    UNCHANGED = "unchanged"
    DAILY_IDENTITIES = "daily_identities"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    OVERLOADED = "overloaded"
    NO_ROOM = "no_room"
    STOPPING = "stopping"
    LAKE_UNAVAILABLE = "lake_unavailable"
    LAKE_TOO_NEW = "lake_too_new"
    INTERNAL = "internal"  # a bug


PROBLEMS = Problems(
    Code,
    {
        Code.BAD_QUERY: Kind(HTTPStatus.BAD_REQUEST, "The question cannot be asked like this"),
        Code.UNCHANGED: Kind(
            HTTPStatus.PRECONDITION_FAILED, "The answer is still the one you have"
        ),
        Code.DAILY_IDENTITIES: Kind(
            HTTPStatus.UNPROCESSABLE_ENTITY, "Visitors have no identity beyond a day"
        ),
        Code.UNKNOWN_HOST: Kind(
            HTTPStatus.MISDIRECTED_REQUEST, "This service does not go by that name"
        ),
        Code.UNAUTHORIZED: Kind(HTTPStatus.UNAUTHORIZED, "A token is needed"),
        Code.OVERLOADED: Kind(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The question takes too long, or too many are asked at once",
        ),
        Code.NO_ROOM: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "What is not compacted yet has no room"),
        Code.LAKE_UNAVAILABLE: Kind(
            HTTPStatus.SERVICE_UNAVAILABLE, "The stored events cannot be read now"
        ),
        Code.LAKE_TOO_NEW: Kind(
            HTTPStatus.SERVICE_UNAVAILABLE, "The stored events are a newer Footfall's"
        ),
        Code.INTERNAL: Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "This should not have happened"),
    },
)
STATUS = PROBLEMS.statuses


class Problem(Refused):
    """A request that is not answered; `detail` is written for whoever asked."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(code, detail)
