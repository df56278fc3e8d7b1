"""From a request to its answer: a snapshot, an ETag of it, and only then, if need be, a query."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import msgspec
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from report.engine.pool import Cursor, Vanished
from report.http.responses import (
    entity_tag,
    is_known,
    media_type_for,
    not_modified,
    of_this_moment,
    tagged,
    to_body,
)
from report.problem import Code, Problem
from report.runtime import Reports
from report.snapshot.pinned import Pinned
from report.snapshot.relation import unrepeated
from report.snapshot.snapshot import Snapshot
from report.terms.period import Dates
from report.terms.selection import Selection

# Parts vanish when their date is consolidated. From the second try on they are held while they are
# read, for there may be many such dates, one after the other.
TRIES_MAX = 3

Told = msgspec.Struct
Question = Callable[[Cursor, Snapshot], Told]
Result = TypeVar("Result")


async def of_selection(
    request: Request, asked: Selection, kind: type[Told], question: Question
) -> Response:
    reports: Reports = request.state.reports
    site = asked.site_id

    def of_less(cursor: Cursor, snapshot: Snapshot) -> Told:
        snapshot = unrepeated(cursor, snapshot, site)
        return question(cursor, reports.site_rows.with_cached_rows(cursor, snapshot, site))

    return await of_snapshot(request, asked.period.utc_dates(), site, kind, of_less)


async def of_snapshot(
    request: Request, dates: Dates, site: str | None, kind: type[Told], question: Question
) -> Response:
    """An answer that depends on the URL, on Accept and on what there is, and on nothing else."""
    media_type = media_type_for(request.headers, kind)
    reports: Reports = request.state.reports
    url = request.url.path.encode(), request.scope["query_string"], media_type.encode()

    async def attempt(held: bool) -> Response:
        async with taken(reports, dates, site, held) as snapshot:
            tag = entity_tag(*url, snapshot.identity)
            if is_known(request.headers, tag):
                reports.metrics.known.labels("not_modified").inc()
                return not_modified(tag)
            body = reports.cache.get(tag)
            if body is None:
                body = await run(
                    request, snapshot, lambda c: to_body(question(c, snapshot), media_type)
                )
                reports.cache.put(tag, body)
            else:
                reports.metrics.known.labels("cached").inc()
            return tagged(body, tag, media_type)

    return await retried(attempt)


async def of_now(
    request: Request, dates: Dates, site: str | None, kind: type[Told], question: Question
) -> Response:
    """An answer that depends on the clock as well."""
    media_type = media_type_for(request.headers, kind)

    async def attempt(held: bool) -> Response:
        async with taken(request.state.reports, dates, site, held) as snapshot:
            body = await run(
                request, snapshot, lambda c: to_body(question(c, snapshot), media_type)
            )
            return of_this_moment(body, media_type)

    return await retried(attempt)


async def retried(attempt: Callable[[bool], Awaitable[Result]]) -> Result:
    """`attempt` is told whether to hold the files that it needs. Raises Problem."""
    for tried in range(TRIES_MAX):
        try:
            return await attempt(tried > 0)
        except (Vanished, FileNotFoundError) as error:
            trouble = error
        except OSError as error:
            raise Problem(Code.LAKE_UNAVAILABLE, f"{error.strerror or 'Trouble'}.") from error
    raise Problem(Code.LAKE_UNAVAILABLE, "Parts of the lake cannot be read.") from trouble


@asynccontextmanager
async def taken(
    reports: Reports, dates: Dates, site: str | None, held: bool
) -> AsyncIterator[Snapshot]:
    """A snapshot; `held`: its files stay until the end of the block."""
    if not held:
        yield await take(reports, dates, site)
        return
    pinned = await run_sync(Pinned, reports.lake, reports.scratch.folder)
    try:
        yield await take(reports, dates, site, pinned)
    finally:
        with anyio.CancelScope(shield=True):
            await run_sync(pinned.close)


async def take(
    reports: Reports, dates: Dates, site: str | None, pinned: Pinned | None = None
) -> Snapshot:
    """Raises FileNotFoundError when a part goes away meanwhile."""
    with anyio.CancelScope(deadline=anyio.current_time() + reports.settings.query_s_max):
        return await run_sync(
            reports.snapshots.take,
            dates,
            site,
            pinned,
            abandon_on_cancel=True,  # what it has read by then is there for the next one
            limiter=reports.snapshot_places,
        )
    raise Problem(Code.OVERLOADED, "The spool has much that is not read yet; try again.")


async def run(request: Request, snapshot: Snapshot, ask: Callable[[Cursor], bytes]) -> bytes:
    async def left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    reports: Reports = request.state.reports
    return await reports.pool.run(ask, snapshot.cost_rows, left)
