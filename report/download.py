"""GET /export: the places for it, its files, and the stream that gives both back."""

from collections.abc import Iterator

import anyio
import duckdb
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from report.answer import CSV, cached, entity_tag, is_known, not_modified
from report.ask import retried, take
from report.export import Pinned, chunks
from report.parameters import Export
from report.pool import Vanished
from report.problem import Code, Problem
from report.reports import Reports
from report.snapshot import Snapshot
from report.stream import Pieces, Stream, head

MEDIA_TYPES = {
    "ndjson": "application/x-ndjson",
    "csv": CSV,
    "parquet": "application/vnd.apache.parquet",
}


async def download(request: Request, asked: Export) -> Response:
    """The first piece is made before the stream starts, so that most trouble has a status."""
    reports: Reports = request.state.reports
    media_type = MEDIA_TYPES[asked.format]

    async def attempt() -> Response:
        snapshot = await take(reports, asked.period.utc_dates(), asked.site_id)
        tag = entity_tag(b"/export", request.scope["query_string"], snapshot.identity)
        if is_known(request.headers, tag):
            return not_modified(tag)
        name = f'attachment; filename="events.{asked.format}"'
        headers = cached(tag) | {"content-disposition": name}
        if request.method == "HEAD":
            return head(headers, media_type)
        pieces = await _open(reports, snapshot, asked)
        first = await _first(pieces)
        return Stream(first, pieces, reports.settings.export_stall_s_max, headers, media_type)

    return await retried(attempt)


async def _open(reports: Reports, snapshot: Snapshot, asked: Export) -> Pieces:
    """Raises Problem when all places are taken."""
    place = object()
    try:
        reports.export_places.acquire_on_behalf_of_nowait(place)
    except anyio.WouldBlock:
        raise Problem(Code.OVERLOADED, "Other exports are under way.") from None
    try:
        pinned = await run_sync(Pinned, reports.lake, snapshot, reports.scratch.folder)
    except BaseException:
        reports.export_places.release_on_behalf_of(place)
        raise
    cursor = reports.database.cursor()
    pieces = chunks(cursor, pinned, asked)

    def close() -> None:
        _end(pieces)
        cursor.close()
        pinned.close()

    def leave() -> None:
        reports.export_places.release_on_behalf_of(place)

    return Pieces(pieces, cursor, reports.settings.query_s_max, close, leave)


def _end(pieces: Iterator[bytes]) -> None:
    pieces.close()  # type: ignore[attr-defined]  # they are generators: their `finally` runs


async def _first(pieces: Pieces) -> bytes | None:
    try:
        return await pieces.next()
    except BaseException as error:
        await pieces.close()
        if isinstance(error, duckdb.IOException):
            raise Vanished(str(error)) from error
        if isinstance(error, duckdb.Error):
            raise Problem(Code.LAKE_UNAVAILABLE, "A part of the lake is damaged.") from error
        raise
