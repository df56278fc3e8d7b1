"""From a request to its answer: a snapshot, an ETag of it, and only then, if need be, a query."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import msgspec
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from report.answer import (
    entity_tag,
    is_known,
    media_type_for,
    not_modified,
    of_this_moment,
    tagged,
    to_body,
)
from report.events import unrepeated
from report.parameters import Selection
from report.period import Dates
from report.pool import Cursor, Vanished
from report.problem import Code, Problem
from report.reports import Reports
from report.snapshot import Snapshot

# Parts vanish when their date is consolidated, which happens once: a second try finds the new one.
TRIES_MAX = 5

Told = msgspec.Struct
Question = Callable[[Cursor, Snapshot], Told]
Result = TypeVar("Result")


async def of_selection(
    request: Request, asked: Selection, kind: type[Told], question: Question
) -> Response:
    reports: Reports = request.state.reports
    site = asked.site_id

    def of_less(cursor: Cursor, snapshot: Snapshot) -> Told:
        snapshot = unrepeated(reports.lake, cursor, snapshot, site)
        return question(cursor, reports.hot.warmed(cursor, snapshot, site))

    return await of_snapshot(request, asked.period.utc_dates(), site, kind, of_less)


async def of_snapshot(
    request: Request, dates: Dates, site: str | None, kind: type[Told], question: Question
) -> Response:
    """An answer that depends on the URL, on Accept and on what there is, and on nothing else."""
    media_type = media_type_for(request.headers, kind)
    reports: Reports = request.state.reports
    url = request.url.path.encode(), request.scope["query_string"], media_type.encode()

    async def attempt() -> Response:
        snapshot = await take(reports, dates, site)
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

    async def attempt() -> Response:
        snapshot = await take(request.state.reports, dates, site)
        body = await run(request, snapshot, lambda c: to_body(question(c, snapshot), media_type))
        return of_this_moment(body, media_type)

    return await retried(attempt)


async def retried(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Raises Problem."""
    for _ in range(TRIES_MAX):
        try:
            return await attempt()
        except (Vanished, FileNotFoundError) as error:
            trouble = error
        except OSError as error:
            raise Problem(Code.LAKE_UNAVAILABLE, f"{error.strerror or 'Trouble'}.") from error
    raise Problem(Code.LAKE_UNAVAILABLE, "Parts of the lake cannot be read.") from trouble


async def take(reports: Reports, dates: Dates, site: str | None) -> Snapshot:
    """Raises FileNotFoundError when a part goes away meanwhile."""
    with anyio.CancelScope(deadline=anyio.current_time() + reports.settings.query_s_max):
        return await run_sync(
            reports.snapshots.take,
            dates,
            site,
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
