"""What ingest answers: made here for both of its paths, so that they cannot differ."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.responses import Response

from ingest.dialects.dialect import Answer
from ingest.dialects.native import ACCEPTED
from ingest.http.message import Headers, encode
from ingest.http.problem import Refused as HttpRefused
from ingest.refusal import PROBLEMS, Refusal, Refused
from ingest.settings import Settings
from ingest.telemetry import Metrics

PREFLIGHT_S = 24 * 3600


class Answers:
    """The answers of one worker. `origin` is the request's Origin header, if it has one."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._metrics = metrics
        self._origins = frozenset(map(str.strip, settings.cors_origins.split(",")))
        self._any_origin = settings.cors_origins.strip() == "*"
        self._accepted: dict[str | None, bytes] = {}  # by allowed origin
        self._accepted_as_of: Headers = []

    def cors(self, origin: str | None) -> dict[str, str]:
        """Fetch standard, CORS protocol: which origin's pages may read this answer."""
        if self._any_origin:
            return {"access-control-allow-origin": "*"}
        if origin in self._origins:
            return {"access-control-allow-origin": origin, "vary": "origin"}
        return {"vary": "origin"}

    def json(self, origin: str | None, body: bytes, status: int = 200) -> Response:
        return Response(body, status, self.cors(origin), media_type="application/json")

    def respond(self, origin: str | None, answer: Answer) -> Response:
        status, body, media_type = answer
        return Response(body, status, self.cors(origin), media_type=media_type)

    def accepted(self, origin: str | None) -> Response:
        return self.respond(origin, ACCEPTED)

    def accepted_bytes(self, origin: str | None, default_headers: Headers) -> bytes:
        """The whole answer, made once a second: uvicorn then has a new list, for the date."""
        if default_headers is not self._accepted_as_of:
            self._accepted, self._accepted_as_of = {}, default_headers
        if origin not in self._origins:
            origin = None
        if origin not in self._accepted:
            self._accepted[origin] = encode(self.accepted(origin), default_headers)
        return self._accepted[origin]

    def refuse(self, origin: str | None, refused: HttpRefused) -> Response:
        self._metrics.refuse(Refusal(refused.code))
        if isinstance(refused, Refused) and refused.site_id is not None:
            self._metrics.refused_by_site.add(refused.site_id, refused.refusal)
        headers = self.cors(origin)
        if PROBLEMS.statuses[refused.code] == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        return PROBLEMS.answer(refused, headers)

    def preflight(self, origin: str | None, methods: Sequence[str]) -> Response:
        headers = {
            "access-control-allow-methods": ", ".join(methods),
            "access-control-allow-headers": "content-type, content-encoding",
            "access-control-max-age": str(PREFLIGHT_S),
        }
        return Response(status_code=204, headers=self.cors(origin) | headers)
