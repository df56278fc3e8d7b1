"""GET /export: the places for it, its files, and the stream that gives both back."""

from collections.abc import Iterator

import anyio
import duckdb
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from report.engine.pool import Vanished
from report.http.responses import CSV, cached, entity_tag, is_known, not_modified
from report.http.stream import Pieces, Stream, head
from report.problem import Code, Problem
from report.questions.export import chunks
from report.questions.run import retried, take
from report.runtime import Reports
from report.snapshot.pinned import Pinned
from report.snapshot.snapshot import Snapshot
from report.terms.selection import Export

MEDIA_TYPES = {
    "ndjson": "application/x-ndjson",
    "csv": CSV,
    "parquet": "application/vnd.apache.parquet",
}


async def download(request: Request, asked: Export) -> Response:
    """The first piece is made before the stream starts, so that most trouble has a status."""
    reports: Reports = request.state.reports
    media_type = MEDIA_TYPES[asked.format]

    def tag_of(snapshot: Snapshot) -> str:
        return entity_tag(b"/export", request.scope["query_string"], snapshot.identity)

    def headers(tag: str) -> dict[str, str]:
        name = f'attachment; filename="events.{asked.format}"'
        return cached(tag) | {"content-disposition": name}

    async def attempt(_: bool) -> Response:
        tag = tag_of(await take(reports, asked.period.utc_dates(), asked.site_id))
        if is_known(request.headers, tag):
            return not_modified(tag)
        if request.method == "HEAD":
            return head(headers(tag), media_type)
        snapshot, pieces = await _open(reports, asked)
        first = await _first(pieces)
        stall_s_max = reports.settings.export_stall_s_max
        return Stream(first, pieces, stall_s_max, headers(tag_of(snapshot)), media_type)

    return await retried(attempt)


async def _open(reports: Reports, asked: Export) -> tuple[Snapshot, Pieces]:
    """Raises Problem when all places are taken."""
    place = object()
    try:
        reports.export_places.acquire_on_behalf_of_nowait(place)
    except anyio.WouldBlock:
        raise Problem(Code.OVERLOADED, "Other exports are under way.") from None
    try:
        pinned = await run_sync(Pinned, reports.lake, reports.scratch.folder)
        try:
            snapshot = await take(reports, asked.period.utc_dates(), asked.site_id, pinned)
        except BaseException:
            pinned.close()
            raise
    except BaseException:
        reports.export_places.release_on_behalf_of(place)
        raise
    cursor = reports.database.cursor()
    pieces = chunks(cursor, snapshot, asked)

    def close() -> None:
        _end(pieces)
        cursor.close()
        pinned.close()

    def leave() -> None:
        reports.export_places.release_on_behalf_of(place)

    return snapshot, Pieces(pieces, cursor, reports.settings.query_s_max, close, leave)


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
