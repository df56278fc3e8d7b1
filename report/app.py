"""The HTTP surface of report as a Starlette app."""

import asyncio
import hmac
import os
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, TypedDict, TypeVar

import anyio
import duckdb
import orjson
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from report.problem import RETRY_AFTER_S, Code, Problem
from report.query import Reports, Span
from report.settings import Settings

OPEN_PATHS = ("/health", "/ready")  # for whoever watches the process; they tell nothing of the data


Answer = TypeVar("Answer")


class State(TypedDict):
    reports: Reports
    settings: Settings
    limiter: anyio.CapacityLimiter


def create_app(settings: Settings | None = None) -> Starlette:
    """The app that uvicorn serves. Nothing is opened before its lifespan starts."""
    settings = settings or Settings.from_env(os.environ)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        reports = Reports(settings)
        try:
            yield {
                "reports": reports,
                "settings": settings,
                "limiter": anyio.CapacityLimiter(settings.queries_max),
            }
        finally:
            reports.close()

    app = Starlette(
        routes=[Route("/stats", stats), Route("/health", health), Route("/ready", ready)],
        middleware=[Middleware(TokenGuard, token=settings.token)] if settings.token else [],
        exception_handlers={Problem: on_problem, HTTPException: on_http_exception},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


async def stats(request: Request[State]) -> Response:
    parameters = checked(request.query_params, {"site_id", "date", "from", "to"})
    site = site_of(parameters)
    span = span_of(parameters)
    reports = request.state["reports"]
    figures = await ask(request, lambda cursor: reports.stats(cursor, site, span))
    covered: dict[str, Any] = {"site_id": site, "date": parameters.get("date")}
    if "date" not in parameters and span != Span():
        covered |= {"from": span.first, "to": span.last}
    return answer({**covered, **figures})


async def health(request: Request[State]) -> Response:
    return answer({"status": "ok"})


async def ready(request: Request[State]) -> Response:
    reports = request.state["reports"]
    await ask(request, lambda cursor: reports.stats(cursor, "", Span(date.max, date.max)))
    return answer({"status": "ready"})


async def ask(
    request: Request[State], question: Callable[[duckdb.DuckDBPyConnection], Answer]
) -> Answer:
    """Run a question in the bounded pool; one that takes too long is interrupted."""
    limiter, settings = request.state["limiter"], request.state["settings"]
    async with limiter:
        with request.state["reports"].cursor() as cursor:
            alarm = asyncio.get_running_loop().call_later(settings.query_s_max, cursor.interrupt)
            try:
                return await run_sync(question, cursor)
            except duckdb.InterruptException:
                raise Problem(
                    Code.OVERLOADED, f"It took longer than {settings.query_s_max:g} seconds."
                ) from None
            finally:
                alarm.cancel()


# Parameters


def checked(parameters: QueryParams, known: Collection[str]) -> QueryParams:
    """A misspelt filter must not silently widen the answer."""
    for name in parameters:
        if name not in known:
            raise Problem(
                Code.BAD_PARAMETER,
                f"There is no parameter {name!r}; there is {', '.join(sorted(known))}.",
            )
        if len(parameters.getlist(name)) > 1:
            raise Problem(Code.BAD_PARAMETER, f"{name} is given more than once.")
    return parameters


def site_of(parameters: QueryParams) -> str:
    site = parameters.get("site_id", "")
    if not 1 <= len(site) <= 64:
        raise Problem(Code.BAD_PARAMETER, "site_id is needed: 1 to 64 characters.")
    return site


def span_of(parameters: QueryParams) -> Span:
    day = date_of(parameters, "date")
    first, last = date_of(parameters, "from"), date_of(parameters, "to")
    if day and (first or last):
        raise Problem(Code.BAD_PARAMETER, "Either date, or from and to.")
    if first and last and first > last:
        raise Problem(Code.BAD_PARAMETER, "from is after to.")
    return Span(day, day) if day else Span(first, last)


def date_of(parameters: QueryParams, name: str) -> date | None:
    text = parameters.get(name)
    if text is None:
        return None
    try:
        if len(text) != len("YYYY-MM-DD"):  # fromisoformat also takes 20251112 and 2025-W46-3
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise Problem(Code.BAD_PARAMETER, f"{name} is a date as in 2025-11-12.") from None


# Answers


def answer(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


def refuse(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    headers = dict(headers or {})
    if problem.status == 503:
        headers["retry-after"] = str(RETRY_AFTER_S)
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(problem.body(), problem.status, headers, media_type="application/problem+json")


async def on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return refuse(error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allow = ", ".join(sorted((error.headers or {})["Allow"].split(", ")))
        problem = Problem(Code.METHOD_NOT_ALLOWED, f"{request.url.path} takes {allow}.")
        return refuse(problem, {"allow": allow})
    return refuse(Problem(Code.NOT_FOUND, "There is /stats, /health, /ready."))


class TokenGuard:
    """Asks for the Bearer token (RFC 6750) before anything else is looked at."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = b"Bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                problem = Problem(Code.UNAUTHORIZED, "Send Authorization: Bearer and the token.")
                await refuse(problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)
