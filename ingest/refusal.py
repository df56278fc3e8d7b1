"""Every way in which ingest can refuse."""

from enum import StrEnum
from http import HTTPStatus

from ingest.http import problem
from ingest.http.problem import Kind, Problems


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
    RATE_LIMITED = "rate_limited"
    UNKNOWN_SITE = "unknown_site"
    FOREIGN_HOST = "foreign_host"
    KEY_NEEDED = "key_needed"
    UNKNOWN_KEY = "unknown_key"


PROBLEMS = Problems(
    Refusal,
    {
        Refusal.INVALID_EVENT: Kind(
            HTTPStatus.UNPROCESSABLE_ENTITY, "The event breaks a rule of the schema"
        ),
        Refusal.TIMESTAMP_OUT_OF_RANGE: Kind(
            HTTPStatus.UNPROCESSABLE_ENTITY, "The timestamp is out of range"
        ),
        Refusal.OVERLOADED: Kind(
            HTTPStatus.SERVICE_UNAVAILABLE, "Too much is waiting to be written"
        ),
        Refusal.SPOOL_UNAVAILABLE: Kind(
            HTTPStatus.SERVICE_UNAVAILABLE, "The spool does not take writes now"
        ),
        Refusal.RATE_LIMITED: Kind(
            HTTPStatus.TOO_MANY_REQUESTS, "This address sends more than its share"
        ),
        Refusal.UNKNOWN_SITE: Kind(HTTPStatus.FORBIDDEN, "There is no such site here"),
        Refusal.FOREIGN_HOST: Kind(
            HTTPStatus.FORBIDDEN, "Pages of this host may not send to this site"
        ),
        Refusal.KEY_NEEDED: Kind(HTTPStatus.UNAUTHORIZED, "This takes a key of the site"),
        Refusal.UNKNOWN_KEY: Kind(HTTPStatus.UNAUTHORIZED, "This is no key of the site"),
    },
)
STATUS = PROBLEMS.statuses


class Refused(problem.Refused):
    """A request, or one event of a batch, is not accepted; `detail` is written for the sender.

    `site_id` is whose refusal it is: empty for that of a site that there is not, None for all that
    has nothing to do with sites.
    """

    def __init__(
        self, refusal: Refusal, detail: str, site_id: str | None = None, **headers: str
    ) -> None:
        super().__init__(refusal, detail, **headers)
        self.refusal = refusal
        self.site_id = site_id
