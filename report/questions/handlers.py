"""One function for each path: decode what is asked, and say how it is answered."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from report.engine.pool import Cursor
from report.http.responses import (
    JSON,
    entity_tag,
    is_known,
    not_modified,
    of_this_moment,
    tagged,
    to_body,
)
from report.openapi import Resource
from report.questions import answers, query
from report.questions.download import MEDIA_TYPES, download
from report.questions.run import of_now, of_selection, of_snapshot, retried, take
from report.snapshot.snapshot import Snapshot
from report.terms import selection as parameters
from report.terms.period import Dates
from report.terms.selection import Nothing, Selection, decode
from report.terms.zone import instant

ALL = Dates()
FOREIGN_MAX = 100

Handler = Callable[[Request], Awaitable[Response]]


async def stats(request: Request) -> Response:
    asked = decode(request.scope["query_string"], parameters.Stats)
    given = answers.given(asked, set(request.query_params) - {"site_id", "date"})

    def question(cursor: Cursor, snapshot: Snapshot) -> answers.Stats:
        figures = query.stats(cursor, snapshot, asked)
        return answers.Stats(site_id=asked.site_id, date=asked.date or None, **given, **figures)

    return await of_selection(request, asked, answers.Stats, question)


async def timeseries(request: Request) -> Response:
    asked = decode(request.scope["query_string"], parameters.Timeseries)
    query.refuse_too_many(asked.interval, asked.period)

    def question(cursor: Cursor, snapshot: Snapshot) -> answers.Timeseries:
        rows = query.timeseries(cursor, snapshot, asked)
        return answers.Timeseries(**answers.covered(asked), interval=asked.interval, rows=rows)

    return await of_selection(request, asked, answers.Timeseries, question)


async def breakdown(request: Request) -> Response:
    asked = decode(request.scope["query_string"], parameters.Breakdown)
    page: dict[str, Any] = {"by": asked.by, "limit": asked.limit, "offset": asked.offset}

    def question(cursor: Cursor, snapshot: Snapshot) -> answers.Breakdown:
        found = query.breakdown(cursor, snapshot, asked)
        return answers.Breakdown(**answers.covered(asked), **page, **found)

    return await of_selection(request, asked, answers.Breakdown, question)


async def live(request: Request) -> Response:
    asked = decode(request.scope["query_string"], parameters.Live)
    now = datetime.now(UTC)
    after = now - timedelta(minutes=query.LIVE_MINUTES)
    selection = Selection(site_id=asked.site_id, first=after.date(), last=now.date())

    def question(cursor: Cursor, snapshot: Snapshot) -> answers.Live:
        counts = query.live(cursor, snapshot, selection, after, now)
        ends: dict[str, Any] = {"first": instant(after), "last": instant(now)}
        return answers.Live(site_id=asked.site_id, **ends, **counts)

    dates = selection.period.utc_dates()
    return await of_now(request, dates, asked.site_id, answers.Live, question)


async def sites(request: Request) -> Response:
    asked = decode(request.scope["query_string"], parameters.Sites)
    reports = request.state.reports

    def question(cursor: Cursor, snapshot: Snapshot) -> answers.Sites:
        counted = reports.site_counts.of_all(cursor, snapshot)
        total, rows = query.sites(counted, asked)
        return answers.Sites(total=total, limit=asked.limit, offset=asked.offset, rows=rows)

    return await of_snapshot(request, ALL, asked.site_id or None, answers.Sites, question)


async def ledger(request: Request) -> Response:
    decode(request.scope["query_string"], Nothing)
    reports = request.state.reports

    def question(cursor: Cursor, snapshot: Snapshot) -> answers.Ledger:
        sums = reports.ledger.sums(cursor, snapshot, now_us=time.time_ns() // 1_000)
        return answers.Ledger(**sums)

    return await of_now(request, ALL, None, answers.Ledger, question)


async def export(request: Request) -> Response:
    asked = decode(request.scope["query_string"], parameters.Export)
    return await download(request, asked)


async def health(request: Request) -> Response:
    decode(request.scope["query_string"], Nothing)
    return of_this_moment(to_body(answers.Health(status="ok"), JSON), JSON)


async def ready(request: Request) -> Response:
    """Ready is who can look at the spool and at every date of the lake."""
    decode(request.scope["query_string"], Nothing)
    reports = request.state.reports
    await retried(lambda _: take(reports, ALL, ""))
    foreign = sorted(reports.listing.foreign.items())[:FOREIGN_MAX]
    left_out = [answers.Foreign(file, reason) for file, reason in foreign]
    return of_this_moment(to_body(answers.Ready(status="ready", foreign=left_out), JSON), JSON)


async def metrics(request: Request) -> Response:
    decode(request.scope["query_string"], Nothing)
    return of_this_moment(request.state.reports.metrics.text(), CONTENT_TYPE_LATEST)


async def openapi(request: Request) -> Response:
    decode(request.scope["query_string"], Nothing)
    body = orjson.dumps(request.state.document)
    tag = entity_tag(body)
    return not_modified(tag) if is_known(request.headers, tag) else tagged(body, tag, JSON)


EXPORTED = tuple(MEDIA_TYPES.values())
TABLE = ("text/csv",)

HANDLERS: dict[Resource, Handler] = {
    Resource("/stats", "Views, users and top paths", parameters.Stats, answers.Stats, TABLE): stats,
    Resource(
        "/stats/timeseries",
        "Views and users by hour, day, week or month",
        parameters.Timeseries,
        answers.Timeseries,
        TABLE,
    ): timeseries,
    Resource(
        "/stats/breakdown",
        "Views and users by the value of a field",
        parameters.Breakdown,
        answers.Breakdown,
        TABLE,
    ): breakdown,
    Resource(
        "/stats/live",
        "Views and users of the last five minutes",
        parameters.Live,
        answers.Live,
        is_cached=False,
    ): live,
    Resource("/sites", "The sites there are", parameters.Sites, answers.Sites, TABLE): sites,
    Resource("/export", "The events themselves", parameters.Export, None, EXPORTED): export,
    Resource(
        "/ledger", "Where every event is", Nothing, answers.Ledger, TABLE, is_cached=False
    ): ledger,
    Resource(
        "/health",
        "Is the process up?",
        Nothing,
        answers.Health,
        is_cached=False,
        is_open=True,
        asks=False,
    ): health,
    Resource(
        "/ready",
        "Can it answer? What is left out?",
        Nothing,
        answers.Ready,
        is_cached=False,
        is_open=True,
    ): ready,
    Resource(
        "/metrics",
        "For Prometheus",
        Nothing,
        None,
        ("text/plain",),
        is_cached=False,
        asks=False,
    ): metrics,
    Resource("/openapi.json", "This document", Nothing, None, (JSON,), asks=False): openapi,
}
