"""The HTTP surface of ingest as a Starlette app: events in, acknowledgements out."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from starlette import routing
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ingest.admission import Admission
from ingest.context.request import Context
from ingest.dialects.dialect import Route
from ingest.dialects.routes import ROUTES, plain_targets
from ingest.disk import Disk
from ingest.event import BATCH_BYTES_MAX
from ingest.http import problem
from ingest.http.limits import Limits
from ingest.http.single_flight import SingleFlight
from ingest.intake import client_of, endpoint, origin_of
from ingest.refusal import Refusal, Refused
from ingest.responses import Answers
from ingest.segment import spool_folder
from ingest.settings import Settings
from ingest.sites.document import Sites
from ingest.sites.watched import Watched
from ingest.spool import Spool
from ingest.state import State
from ingest.telemetry import CONTENT_TYPE, Metrics
from ingest.tracker import tracker
from ingest.visitor import Visitors


def create_app(
    settings: Settings | None = None,
    counters: Path | None = None,
    disk: Disk | None = None,
    routes: tuple[Route, ...] = ROUTES,
    sites: Sites | None = None,
) -> Starlette:
    """The app that uvicorn serves. Nothing is opened before its lifespan starts.

    `counters` is a folder in which the workers of a service share what they count; `routes` is
    what clients may speak; `sites` are those in force where their file is wrong at the start of a
    worker, but was right at that of the service.
    """
    settings = settings or Settings.from_env(os.environ)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        end_with_parent()
        watched = Watched(settings.sites, sites) if settings.sites else None
        metrics = Metrics(counters, spool_folder(settings.data_dir))
        spool = Spool(settings, metrics, disk=disk)
        spool.open()
        answers = Answers(settings, metrics)
        limits = Limits(settings, metrics)
        visitors = Visitors(settings.data_dir)
        tasks = [asyncio.create_task(visitors.sweep())]
        if watched:
            tasks.append(asyncio.create_task(watched.watch()))
        try:
            yield {
                "settings": settings,
                "metrics": metrics,
                "scrape": SingleFlight(partial(asyncio.to_thread, metrics.text)),
                "scrape_sites": SingleFlight(partial(asyncio.to_thread, metrics.text, watched)),
                "answers": answers,
                "limits": limits,
                "refuse": answers.refuse,
                "body_bytes_max": {None: BATCH_BYTES_MAX}
                | {each.path.encode(): each.bytes_max for each in routes},
                "spool": spool,
                "visitors": visitors,
                "watched": watched,
                "admission": Admission(settings, watched),
                "context": Context(settings, visitors),
                "plain_targets": plain_targets(routes, settings.ack),
            }
        finally:
            for task in tasks:
                task.cancel()
            limits.close()
            await spool.close()

    app = Starlette(
        routes=[
            *map(spoken, routes),
            routing.Route("/tracker.js", tracker().get),
            routing.Route("/health", health),
            routing.Route("/ready", ready),
            routing.Route("/metrics", metrics),
        ],
        exception_handlers={
            problem.Refused: on_refused,
            HTTPException: on_http_exception,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirected POST arrives as a GET in many clients
    return app


def spoken(route: Route) -> routing.Route:
    methods = [*route.methods, *(["OPTIONS"] if route.cors else [])]
    return routing.Route(route.path, endpoint(route), methods=methods)


def end_with_parent() -> None:
    """A worker whose supervisor was killed would hold the port against its successor."""
    parent = multiprocessing.parent_process()
    if parent:
        asyncio.get_running_loop().add_reader(parent.sentinel, signal.raise_signal, signal.SIGTERM)


async def health(request: Request[State]) -> Response:
    return request.state["answers"].json(origin_of(request), b'{"status":"ok"}')


async def ready(request: Request[State]) -> Response:
    trouble = await request.state["spool"].check()
    if trouble:
        raise Refused(Refusal.SPOOL_UNAVAILABLE, f"The spool takes no writes: {trouble}.")
    request.state["visitors"].check()  # else all events of the tracker are refused
    watched = request.state["watched"]
    told = {"status": "ready"} | ({"sites": watched.words} if watched and watched.words else {})
    return request.state["answers"].json(origin_of(request), orjson.dumps(told))


async def metrics(request: Request[State]) -> Response:
    """Names of sites are told to who is near: this port is open to the world."""
    is_near = client_of(request).is_near(request.state["settings"].trusted_proxies)
    scrape = request.state["scrape_sites" if is_near else "scrape"]
    return Response(await scrape(), headers={"content-type": CONTENT_TYPE})


# Exceptions become answers here and nowhere else


async def on_refused(request: Request[Any], error: Exception) -> Response:
    assert isinstance(error, problem.Refused)
    response: Response = request.state["answers"].refuse(origin_of(request), error)
    return response


async def on_http_exception(request: Request[Any], error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    paths = ", ".join(route.path for route in request.app.routes)
    refused = problem.of_routing(error, request.url.path, f"There is {paths}.")
    return await on_refused(request, refused)
