"""The HTTP surface of report as a Starlette app."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TypedDict

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingest.http.connection import Refuse
from ingest.http.limits import Limits
from ingest.http.problem import Refused, of_routing
from report import operations
from report.http import page
from report.http.access import Counted, Guard
from report.http.responses import refuse
from report.openapi import document
from report.problem import Code, Problem
from report.questions import (
    breakdown,
    download,
    funnel,
    journeys,
    ledger,
    live,
    query,
    retention,
    robots,
    sites,
    stats_v1,
    timeseries,
    totals,
)
from report.questions.run import resource
from report.runtime import Runtime
from report.settings import Settings
from report.telemetry import Telemetry

logger = logging.getLogger("report")

QUESTIONS = (totals, timeseries, breakdown, robots, live, sites, ledger)
RESOURCES = (
    *(resource(each.QUESTION) for each in QUESTIONS),
    *query.QUESTION.resources,
    *funnel.QUESTION.resources,
    *retention.QUESTION.resources,
    *journeys.QUESTION.resources,
    *stats_v1.RESOURCES,
    download.RESOURCE,
    *operations.RESOURCES,
)


BODY_BYTES_MAX = 64 * 1024


class State(TypedDict):
    limits: Limits
    refuse: Refuse
    body_bytes_max: dict[bytes | None, int]  # by path; None is any other
    runtime: Runtime
    document: dict[str, object]


def create_app(settings: Settings | None = None) -> Starlette:
    """The app that uvicorn serves. Nothing is opened before its lifespan starts."""
    settings = settings or Settings.from_env(os.environ)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        runtime = Runtime(settings)
        limits = Limits(settings, runtime.telemetry)
        try:
            yield {
                "limits": limits,
                "refuse": partial(refuse_early, runtime.telemetry),
                "body_bytes_max": {None: BODY_BYTES_MAX},
                "runtime": runtime,
                "document": document(RESOURCES, bool(settings.token)),
            }
        finally:
            limits.close()
            await runtime.close()

    app = Starlette(
        routes=[
            *page.routes(),
            *(Route(each.path, each.get, methods=each.methods) for each in RESOURCES),
        ],
        middleware=[
            Middleware(Counted, paths=[each.path for each in RESOURCES]),
            Middleware(
                Guard,
                token=settings.token,
                host_names=settings.host_names,
                open_paths=[*page.PATHS, *(each.path for each in RESOURCES if each.is_open)],
            ),
        ],
        exception_handlers={
            Refused: on_refused,
            HTTPException: on_http_exception,
            Exception: on_bug,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def refuse_early(telemetry: Telemetry, origin: str, refused: Refused) -> Response:
    """What the server refuses before the app has it."""
    telemetry.refused(refused)
    return refuse(refused)


async def on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refuse(error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refuse(of_routing(error, request.url.path, "What there is, /openapi.json says."))


async def on_bug(request: Request, error: Exception) -> Response:
    return refuse(Problem(Code.INTERNAL, "This is a bug; the log has more."))
