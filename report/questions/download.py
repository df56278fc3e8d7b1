"""GET /export: the places for it, its files, and the stream that gives both back."""

from collections.abc import Iterator

import anyio
import duckdb
import msgspec
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from report.engine.pool import Cursor, Vanished
from report.http.reader import Audience
from report.http.resource import Resource
from report.http.responses import (
    CSV,
    NOT_CACHED,
    cached,
    entity_tag,
    is_known,
    not_modified,
)
from report.http.stream import Pieces, Stream, head
from report.problem import Code, Problem
from report.questions.asked import asked_of
from report.questions.export import Export, RowsOfDates, chunks
from report.questions.run import left_by, retried
from report.runtime import Runtime
from report.snapshot.pinned import Pinned
from report.snapshot.site_dates import with_dates_of
from report.snapshot.snapshot import Snapshot
from report.terms import sources

MEDIA_TYPES = {
    "ndjson": "application/x-ndjson",
    "csv": CSV,
    "parquet": "application/vnd.apache.parquet",
}


async def download(request: Request) -> Response:
    """The first piece is made before the stream starts, so that most trouble has a status."""
    asked = asked_of(request, Export)
    request.state.reader.check(asked.site_id)
    runtime: Runtime = request.state.runtime
    media_type = MEDIA_TYPES[asked.format]

    def tag_of(snapshot: Snapshot) -> str:
        what = msgspec.json.encode(asked)
        return entity_tag(b"/export", what, sources.identity(), snapshot.identity)

    def headers(tag: str) -> dict[str, str]:
        """A tag changes with what happens to other sites, so it is for the operator."""
        name = {"content-disposition": f'attachment; filename="events.{asked.format}"'}
        return name | (cached(tag) if request.state.reader.is_operator else NOT_CACHED)

    async def attempt(held: bool) -> Response:
        seen = await runtime.take(asked.period.utc_dates(), asked.site_id)
        tag = tag_of(seen)
        if request.state.reader.is_operator and is_known(request.headers, tag):
            return not_modified(tag)
        if request.method == "HEAD":
            return head(headers(tag), media_type)
        snapshot, pieces = await _open(request, asked, None if held else seen)
        first = await _first(pieces)
        return Stream(first, pieces, headers(tag_of(snapshot)), media_type)

    return await retried(attempt)


async def _open(request: Request, asked: Export, seen: Snapshot | None) -> tuple[Snapshot, Pieces]:
    """Of the snapshot that was `seen`, or of a new one. Raises Problem when no place is left."""
    runtime: Runtime = request.state.runtime
    place = object()
    try:
        runtime.export_places.acquire_on_behalf_of_nowait(place)
    except anyio.WouldBlock:
        raise Problem(Code.OVERLOADED, "Other exports are under way.") from None
    try:
        pinned = await runtime.pin()
        try:
            snapshot, held, dates = await _hold(request, asked, seen, pinned)
        except BaseException:
            pinned.close()
            raise
    except BaseException:
        runtime.export_places.release_on_behalf_of(place)
        raise
    cursor = runtime.cursor()
    pieces = chunks(cursor, held, dates, asked)

    def close() -> None:
        _end(pieces)
        cursor.close()
        pinned.close()

    def leave() -> None:
        runtime.export_places.release_on_behalf_of(place)

    return snapshot, Pieces(pieces, cursor, runtime.settings.query_s_max, close, leave)


async def _hold(
    request: Request, asked: Export, seen: Snapshot | None, pinned: Pinned
) -> tuple[Snapshot, Snapshot, RowsOfDates]:
    """A snapshot, and the same with files that stay, of those parts alone that have to be read; and
    how many rows there are of each date.

    Parts are looked into where they are, for what is linked is a new file to DuckDB; or, when some
    went away meanwhile, once they are held.
    """
    runtime: Runtime = request.state.runtime
    dates, site = asked.period.utc_dates(), asked.site_id
    snapshot = seen or await runtime.take(dates, site, pinned)

    def to_read(cursor: Cursor) -> tuple[Snapshot, RowsOfDates]:
        return with_dates_of(cursor, runtime.relation(cursor, snapshot, site).snapshot, site)

    rows = 0  # two columns are read, of what the site has; or all columns, of few rows
    narrow, of_dates = await runtime.pool.run(to_read, rows, left_by(request))
    return snapshot, await run_sync(narrow.held_by, pinned) if seen else narrow, of_dates


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


RESOURCE = Resource(
    path="/export",
    summary="The events themselves",
    get=download,
    takes=Export,
    other_types=tuple(MEDIA_TYPES.values()),
    is_cached=True,
    audience=Audience.READERS_OF_SITE,
    asks=True,
)
