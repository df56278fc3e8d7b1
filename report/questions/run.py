"""From a request to its answer: a snapshot, an ETag of it, and only then, if need be, DuckDB."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from report.engine.pool import Cursor, Vanished
from report.http.query_string import decode
from report.http.resource import Resource
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
from report.questions.question import Question
from report.runtime import Runtime
from report.snapshot.snapshot import Snapshot

# Parts vanish when their date is consolidated. From the second try on they are held while they are
# read, for there may be many such dates, one after the other.
TRIES_MAX = 3

Result = TypeVar("Result")


def resource(question: Question[Any]) -> Resource:
    return Resource(
        path=question.path,
        summary=question.summary,
        get=partial(answer, question),
        takes=question.takes,
        answers=question.answers,
        other_types=("text/csv",) if question.table else (),
        is_cached=not question.depends_on_clock,
        asks=True,
    )


async def answer(question: Question[Any], request: Request) -> Response:
    """Raises Problem."""
    asked = decode(request.scope["query_string"], question.takes)
    question.refuse(asked)
    return await retried(partial(_attempt, question, request, asked))


async def _attempt(
    question: Question[Any], request: Request, asked: Struct, held: bool
) -> Response:
    runtime: Runtime = request.state.runtime
    media_type = media_type_for(request.headers, question.table is not None)
    scope = question.scope(asked)
    async with runtime.snapshot(scope.dates, scope.site, held) as snapshot:
        if question.depends_on_clock:
            body = await _ask(question, request, asked, snapshot, media_type)
            return of_this_moment(body, media_type)
        tag = _tag(question, request, snapshot, media_type)
        if is_known(request.headers, tag):
            runtime.telemetry.known("not_modified")
            return not_modified(tag)
        if known := runtime.answers.get(tag):
            runtime.telemetry.known("cached")
            return tagged(known, tag, media_type)
        body = await _ask(question, request, asked, snapshot, media_type)
        runtime.answers.put(tag, body)
        return tagged(body, tag, media_type)


def _tag(question: Question[Any], request: Request, snapshot: Snapshot, media_type: str) -> str:
    """An answer depends on how it is told, on the URL, on Accept and on what there is."""
    query = request.scope["query_string"]
    return entity_tag(
        question.format, question.path.encode(), query, media_type.encode(), snapshot.identity
    )


async def _ask(
    question: Question[Any],
    request: Request,
    asked: Struct,
    snapshot: Snapshot,
    media_type: str,
) -> bytes:
    runtime: Runtime = request.state.runtime
    site = question.scope(asked).site

    def in_thread(cursor: Cursor) -> bytes:
        relation = runtime.relation(cursor, snapshot, site)
        return to_body(question.ask(relation, asked), question.table, media_type)

    return await runtime.pool.run(in_thread, snapshot.cost_rows, partial(_left, request))


async def _left(request: Request) -> None:
    """Returns when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


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
