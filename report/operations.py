"""What an operator and a client's author ask: is it up, is it ready, what does it do, and how."""

from typing import Any

import orjson
from msgspec import UNSET, Struct, UnsetType
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from ingest.sites.watched import Watched
from report.http.query_string import Nothing, decode
from report.http.reader import Audience
from report.http.resource import Resource
from report.http.responses import (
    JSON,
    entity_tag,
    is_known,
    not_modified,
    of_this_moment,
    tagged,
    to_json,
)
from report.questions.run import retried
from report.runtime import Runtime
from report.terms.metrics import Count
from report.terms.period import Dates


class Health(Struct, frozen=True):
    status: str


class Ready(Struct, frozen=True):
    """`left_out`: how many files below data/lake/events are not parts; the ledger names them.
    `sites`: what is wrong with FOOTFALL_SITES as it is now."""

    status: str
    left_out: Count
    sites: str | UnsetType = UNSET


async def health(request: Request) -> Response:
    decode(request.scope["query_string"], Nothing)
    return of_this_moment(to_json(Health(status="ok")), JSON)


async def ready(request: Request) -> Response:
    """Ready is who can look at the spool and at every date of the lake."""
    decode(request.scope["query_string"], Nothing)
    runtime: Runtime = request.state.runtime
    await runtime.readiness.check(lambda: retried(lambda held: runtime.take(Dates(), "")))
    watched: Watched | None = request.state.watched
    wrong = (watched and watched.words) or UNSET
    ready = Ready(status="ready", left_out=runtime.left_out, sites=wrong)
    return of_this_moment(to_json(ready), JSON)


async def metrics(request: Request) -> Response:
    decode(request.scope["query_string"], Nothing)
    return of_this_moment(request.state.runtime.telemetry.text(), CONTENT_TYPE_LATEST)


async def openapi(request: Request) -> Response:
    decode(request.scope["query_string"], Nothing)
    document: dict[str, Any] = request.state.document
    body = orjson.dumps(document)
    tag = entity_tag(body)
    return not_modified(tag) if is_known(request.headers, tag) else tagged(body, tag, JSON)


RESOURCES = (
    Resource(
        path="/health",
        summary="Is the process up?",
        get=health,
        answers=Health,
        audience=Audience.ANYBODY,
    ),
    Resource(
        path="/ready",
        summary="Can it answer?",
        get=ready,
        answers=Ready,
        audience=Audience.ANYBODY,
        asks=True,
    ),
    Resource(path="/metrics", summary="For Prometheus", get=metrics, other_types=("text/plain",)),
    Resource(
        path="/openapi.json",
        summary="This document",
        get=openapi,
        other_types=(JSON,),
        is_cached=True,
        audience=Audience.READERS,
    ),
)
