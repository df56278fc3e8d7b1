"""The HTTP surface of report as a Starlette app."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingest.http.connection import Refuse
from ingest.http.limits import Limits
from report import operations
from report.http import page
from report.http.access import Counted, Guard
from report.http.responses import refuse
from report.openapi import document
from report.problem import Code, Problem
from report.questions import (
    breakdown,
    download,
    ledger,
    live,
    robots,
    sites,
    timeseries,
    totals,
)
from report.questions.run import resource
from report.runtime import Runtime
from report.settings import Settings

logger = logging.getLogger("report")

QUESTIONS = (totals, timeseries, breakdown, robots, live, sites, ledger)
RESOURCES = (
    *(resource(each.QUESTION) for each in QUESTIONS),
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
                "refuse": lambda _, refused: refuse(runtime.telemetry.refused(refused)),
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
            *(Route(each.path, each.get) for each in RESOURCES),
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
            Problem: on_problem,
            HTTPException: on_http_exception,
            Exception: on_bug,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


async def on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return refuse(error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allow = ", ".join(sorted((error.headers or {})["Allow"].split(", ")))
        problem = Problem(Code.METHOD_NOT_ALLOWED, f"{request.url.path} takes {allow}.")
        return refuse(problem, {"allow": allow})
    return refuse(Problem(Code.NOT_FOUND, "What there is, /openapi.json says."))


async def on_bug(request: Request, error: Exception) -> Response:
    return refuse(Problem(Code.INTERNAL, "This is a bug; the log has more."))
