"""The HTTP surface of ingest as a Starlette app: events in, acknowledgements out."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypedDict

import orjson
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ingest.body import read_body
from ingest.event import BATCH_BYTES_MAX, EVENT_BYTES_MAX, Batch, Receipt, to_line, to_lines
from ingest.refusal import RETRY_AFTER_S, STATUS, Refusal, Refused, problem
from ingest.settings import Settings
from ingest.spool import Spool

ACCEPTED = b'{"status":"accepted"}'
PREFLIGHT_S = 24 * 3600


class State(TypedDict):
    spool: Spool
    settings: Settings


def create_app(settings: Settings | None = None) -> Starlette:
    """The app that uvicorn serves. Nothing is opened before its lifespan starts."""
    settings = settings or Settings.from_env(os.environ)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        end_with_parent()
        spool = Spool(settings)
        spool.open()
        try:
            yield {"spool": spool, "settings": settings}
        finally:
            await spool.close()

    app = Starlette(
        routes=[
            Route("/event", post_event, methods=["POST", "OPTIONS"]),
            Route("/events", post_events, methods=["POST", "OPTIONS"]),
            Route("/health", health),
            Route("/ready", ready),
        ],
        exception_handlers={
            Refused: on_refused,
            HTTPException: on_http_exception,
            ClientDisconnect: on_disconnect,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirected POST arrives as a GET in many clients
    return app


def end_with_parent() -> None:
    """A worker whose supervisor was killed would hold the port against its successor."""
    parent = multiprocessing.parent_process()
    if parent:
        asyncio.get_running_loop().add_reader(parent.sentinel, signal.raise_signal, signal.SIGTERM)


async def post_event(request: Request[State]) -> Response:
    if request.method == "OPTIONS":
        return preflight(request)
    synced = wants_sync(request.query_params, request.state["settings"])
    line = to_line(await body_of(request, EVENT_BYTES_MAX), Receipt(datetime.now(UTC)))
    await keep(request, line, synced)
    return answer(request, ACCEPTED)


async def post_events(request: Request[State]) -> Response:
    if request.method == "OPTIONS":
        return preflight(request)
    synced = wants_sync(request.query_params, request.state["settings"])
    batch = to_lines(await body_of(request, BATCH_BYTES_MAX), Receipt(datetime.now(UTC)))
    if batch.lines:
        await keep(request, b"".join(batch.lines), synced)
    return answer_batch(request, batch)


async def health(request: Request[State]) -> Response:
    return answer(request, b'{"status":"ok"}', status=200)


async def ready(request: Request[State]) -> Response:
    trouble = await request.state["spool"].check()
    if trouble:
        raise Refused(Refusal.SPOOL_UNAVAILABLE, f"The spool takes no writes: {trouble}.")
    return answer(request, b'{"status":"ready"}', status=200)


def wants_sync(parameters: QueryParams, settings: Settings) -> bool:
    """True for `?ack=synced`. A misspelt promise must not silently become a weaker one."""
    for name in parameters:
        if name != "ack":
            raise Refused(Refusal.BAD_PARAMETER, f"There is no parameter {name!r}; there is ack.")
    ack = parameters.get("ack", settings.ack)
    if ack not in ("written", "synced") or len(parameters.multi_items()) > 1:
        raise Refused(Refusal.BAD_PARAMETER, "ack is either written or synced.")
    return ack == "synced"


async def keep(request: Request[State], lines: bytes, synced: bool) -> None:
    """Returns once the spool has kept the lines. Raises Refused."""
    kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(refused: Refused | None) -> None:
        if refused:
            kept.set_exception(refused)
        else:
            kept.set_result(None)

    request.state["spool"].append(lines, synced, done)
    await kept


async def body_of(request: Request[State], bytes_max: int) -> bytes:
    encoding = request.headers.get("content-encoding", "identity")
    return await read_body(request.stream(), encoding, bytes_max)


# Answers


def answer(request: Request[State], body: bytes, status: int = 202) -> Response:
    return Response(body, status, cors(request), media_type="application/json")


def answer_batch(request: Request[State], batch: Batch) -> Response:
    counts = {"accepted": len(batch.lines), "rejected": batch.rejected}
    if not batch.rejected:
        return answer(request, orjson.dumps(counts))
    if batch.lines:
        return answer(request, orjson.dumps({**counts, "errors": batch.errors}), status=207)
    refused = Refused(Refusal.INVALID_EVENT, "No event of the batch is valid.")
    return refuse(request, refused, **counts, errors=batch.errors)


def refuse(request: Request[State], refused: Refused, **more: object) -> Response:
    headers = cors(request)
    status = STATUS[refused.refusal]
    if status == 503:
        headers["retry-after"] = str(RETRY_AFTER_S)
    return Response(
        problem(refused, **more), status, headers, media_type="application/problem+json"
    )


def cors(request: Request[State]) -> dict[str, str]:
    """Fetch standard, CORS protocol: which origin's pages may read this answer."""
    allowed = request.state["settings"].cors_origins
    if allowed == "*":
        return {"access-control-allow-origin": "*"}
    origin = request.headers.get("origin")
    if origin in allowed.split(","):
        return {"access-control-allow-origin": origin, "vary": "origin"}
    return {"vary": "origin"}


def preflight(request: Request[State]) -> Response:
    return Response(
        status_code=204,
        headers={
            **cors(request),
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "content-type, content-encoding",
            "access-control-max-age": str(PREFLIGHT_S),
        },
    )


# Exceptions become answers here and nowhere else


async def on_refused(request: Request[Any], error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refuse(request, error)


async def on_http_exception(request: Request[Any], error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allow = ", ".join(sorted((error.headers or {})["Allow"].split(", ")))
        refused = Refused(Refusal.METHOD_NOT_ALLOWED, f"{request.url.path} takes {allow}.")
        response = refuse(request, refused)
        response.headers["allow"] = allow
        return response
    return refuse(request, Refused(Refusal.NOT_FOUND, "There is /event, /events, /health, /ready."))


async def on_disconnect(request: Request[Any], error: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it
