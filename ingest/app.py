"""The HTTP surface of ingest as a Starlette app: events in, acknowledgements out."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingest.batch import to_lines
from ingest.dialects.native import Wishes, plain_targets, wishes_of
from ingest.disk import Disk
from ingest.event import BATCH_BYTES_MAX, EVENT_BYTES_MAX, Identify, Receipt, to_line
from ingest.http import problem
from ingest.http.body import decoded
from ingest.http.connection import Refuse
from ingest.http.limits import Limits
from ingest.refusal import Refusal, Refused
from ingest.responses import Answers
from ingest.secret import is_import
from ingest.segment import spool_folder
from ingest.settings import Settings
from ingest.spool import Spool
from ingest.telemetry import CONTENT_TYPE, Metrics
from ingest.tracker import Tracker
from ingest.visitor import Visitors


class State(TypedDict):
    settings: Settings
    metrics: Metrics
    answers: Answers
    limits: Limits
    refuse: Refuse
    body_bytes_max: dict[bytes | None, int]  # by path; None is any other
    spool: Spool
    visitors: Visitors
    plain_targets: dict[bytes, Wishes]  # of the events that ingest.fast_path answers itself


def create_app(
    settings: Settings | None = None, counters: Path | None = None, disk: Disk | None = None
) -> Starlette:
    """The app that uvicorn serves. Nothing is opened before its lifespan starts.

    `counters` is a folder in which the workers of a service share what they count.
    """
    settings = settings or Settings.from_env(os.environ)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        end_with_parent()
        metrics = Metrics(counters, spool_folder(settings.data_dir))
        spool = Spool(settings, metrics, disk=disk)
        spool.open()
        answers = Answers(settings, metrics)
        limits = Limits(settings, metrics)
        visitors = Visitors(settings.data_dir, settings.trusted_proxies)
        sweeper = asyncio.create_task(visitors.sweep())
        try:
            yield {
                "settings": settings,
                "metrics": metrics,
                "answers": answers,
                "limits": limits,
                "refuse": answers.refuse,
                "body_bytes_max": {b"/event": EVENT_BYTES_MAX, None: BATCH_BYTES_MAX},
                "spool": spool,
                "visitors": visitors,
                "plain_targets": plain_targets(settings),
            }
        finally:
            sweeper.cancel()
            limits.close()
            await spool.close()

    app = Starlette(
        routes=[
            Route("/event", post_event, methods=["POST", "OPTIONS"]),
            Route("/events", post_events, methods=["POST", "OPTIONS"]),
            Route("/tracker.js", Tracker().get),
            Route("/health", health),
            Route("/ready", ready),
            Route("/metrics", metrics),
        ],
        exception_handlers={
            problem.Refused: on_refused,
            HTTPException: on_http_exception,
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
        return request.state["answers"].preflight(origin_of(request))
    wishes = wishes_of(request.query_params, request.state["settings"])
    body = await body_of(request, EVENT_BYTES_MAX)
    receipt = request.state["spool"].receipt()
    line = to_line(body, receipt, visitor_of(request, wishes, receipt))
    await keep(request, line, wishes)
    return request.state["answers"].accepted(origin_of(request))


async def post_events(request: Request[State]) -> Response:
    if request.method == "OPTIONS":
        return request.state["answers"].preflight(origin_of(request))
    wishes = wishes_of(request.query_params, request.state["settings"])
    body = await body_of(request, BATCH_BYTES_MAX)
    receipt = receipt_of(request)
    identify = visitor_of(request, wishes, receipt)
    batch = to_lines(body, receipt, identify, request.state["settings"].batch_dates_max)
    if batch.accepted:
        await keep(request, batch.lines, wishes)
    return request.state["answers"].batch(origin_of(request), batch)


async def health(request: Request[State]) -> Response:
    return request.state["answers"].json(origin_of(request), b'{"status":"ok"}')


async def ready(request: Request[State]) -> Response:
    trouble = await request.state["spool"].check()
    if trouble:
        raise Refused(Refusal.SPOOL_UNAVAILABLE, f"The spool takes no writes: {trouble}.")
    request.state["visitors"].check()  # else all events of the tracker are refused
    return request.state["answers"].json(origin_of(request), b'{"status":"ready"}')


async def metrics(request: Request[State]) -> Response:
    text = await asyncio.to_thread(request.state["metrics"].text)
    return Response(text, headers={"content-type": CONTENT_TYPE})


def origin_of(request: Request[Any]) -> str | None:
    return request.headers.get("origin")


def receipt_of(request: Request[State]) -> Receipt:
    receipt = request.state["spool"].receipt()
    authorization = request.headers.get("authorization")
    if authorization and is_import(authorization, request.state["settings"].data_dir):
        return receipt.of_history()
    return receipt


def visitor_of(request: Request[State], wishes: Wishes, receipt: Receipt) -> Identify | None:
    if not wishes.visitor:
        return None
    peer = request.client.host if request.client else ""
    forwarded_for = ", ".join(request.headers.getlist("x-forwarded-for"))
    user_agent = request.headers.get("user-agent", "").encode("latin-1")
    return request.state["visitors"].sender_of(peer, forwarded_for, user_agent, receipt)


async def keep(request: Request[State], lines: bytes, wishes: Wishes) -> None:
    """Returns once the spool has kept the lines. Raises Refused."""
    kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(refused: Refused | None) -> None:
        if refused:
            kept.set_exception(refused)
        else:
            kept.set_result(None)

    request.state["spool"].append(lines, wishes.synced, done)
    await kept


async def body_of(request: Request[State], bytes_max: int) -> bytes:
    encoding = request.headers.get("content-encoding", "identity")
    return decoded(await request.body(), encoding, bytes_max)


# Exceptions become answers here and nowhere else


async def on_refused(request: Request[Any], error: Exception) -> Response:
    assert isinstance(error, problem.Refused)
    response: Response = request.state["answers"].refuse(origin_of(request), error)
    return response


async def on_http_exception(request: Request[Any], error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allow = ", ".join(sorted((error.headers or {})["Allow"].split(", ")))
        detail = f"{request.url.path} takes {allow}."
        return await on_refused(request, Refused(Refusal.METHOD_NOT_ALLOWED, detail, allow=allow))
    detail = "There is /event, /events, /tracker.js, /health, /ready, /metrics."
    return await on_refused(request, Refused(Refusal.NOT_FOUND, detail))
