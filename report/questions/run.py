"""From a request to its answer: a snapshot, an ETag of it, and only then, if need be, DuckDB."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from compactor.lake.footer import NewerLake
from report.engine.pool import Cursor, Vanished
from report.http.reader import Audience, Reader
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
from report.questions.asked import asked_of
from report.questions.question import Question
from report.runtime import Runtime
from report.snapshot.snapshot import Snapshot
from report.terms import sources

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
        audience=Audience.READERS_OF_SITE,
        asks=True,
    )


async def answer(question: Question[Any], request: Request) -> Response:
    """Raises Problem."""
    return await retried(Run(question, request).attempt)


class Run:
    """One question of one request."""

    def __init__(self, question: Question[Any], request: Request) -> None:
        """Raises Problem for what cannot be asked."""
        self._question = question
        self._request = request
        self._runtime: Runtime = request.state.runtime
        self._asked = asked_of(request, question.takes)
        question.refuse(self._asked)
        self._scope = question.scope(self._asked)
        self._among = self._sites_alone(request.state.reader)
        self._media_type = media_type_for(request.headers, question.table is not None)

    def _sites_alone(self, reader: Reader) -> frozenset[str] | None:
        """Those that the answer may be about, if that is not about all, nor about one. Raises
        Problem."""
        if self._scope.site is None and self._question.ask_among and reader.own:
            return reader.own
        reader.check(self._scope.site)
        return None

    async def attempt(self, held: bool) -> Response:
        """`held`: the files of its snapshot stay until it is answered."""
        async with self._runtime.snapshot(self._scope.dates, self._scope.site, held) as snapshot:
            if self._question.depends_on_clock:
                return of_this_moment(await self._body(snapshot), self._media_type)
            tag = self._tag(snapshot)
            make = partial(self._body, snapshot)
            if not self._request.state.reader.is_operator:
                body = await body_of(self._runtime, tag, make)
                return told_by_itself(self._request, body, self._media_type)
            if is_known(self._request.headers, tag):
                self._runtime.telemetry.known("not_modified")
                return not_modified(tag)
            return tagged(await body_of(self._runtime, tag, make), tag, self._media_type)

    def _tag(self, snapshot: Snapshot) -> str:
        """Of all that the answer depends on: how it is told, what is asked, of which sites
        where that is not said in it, and what there is."""
        path, asked = self._question.path.encode(), msgspec.json.encode(self._asked)
        how = self._question.format, self._media_type.encode(), sources.identity()
        among = [] if self._among is None else [each.encode() for each in sorted(self._among)]
        return entity_tag(*how, path, asked, snapshot.identity, *among)

    async def _body(self, snapshot: Snapshot) -> bytes:
        ask = partial(self._ask, snapshot)
        return await self._runtime.pool.run(ask, snapshot.cost_rows, left_by(self._request))

    def _ask(self, snapshot: Snapshot, cursor: Cursor) -> bytes:
        """In a thread."""
        relation = self._runtime.relation(cursor, snapshot, self._scope.site)
        if self._among is not None and self._question.ask_among:
            answer = self._question.ask_among(relation, self._asked, self._among)
        else:
            answer = self._question.ask(relation, self._asked)
        return to_body(answer, self._question.table, self._media_type)


async def body_of(runtime: Runtime, tag: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
    """The one that was given for this tag before, if it is still there."""
    known = runtime.answers.get(tag)
    if known is not None:
        runtime.telemetry.known("cached")
        return known
    body = await make()
    runtime.answers.put(tag, body)
    return body


def told_by_itself(request: Request, body: bytes, media_type: str) -> Response:
    """With a tag of the answer alone. That of a snapshot also changes when something happens that
    is of other sites."""
    tag = entity_tag(media_type.encode(), body)
    if is_known(request.headers, tag):
        return not_modified(tag)
    return tagged(body, tag, media_type)


def left_by(request: Request) -> Callable[[], Awaitable[None]]:
    """What returns when the client has gone."""

    async def left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    return left


async def retried(attempt: Callable[[bool], Awaitable[Result]]) -> Result:
    """`attempt` is told whether to hold the files that it needs. Raises Problem."""
    for tried in range(TRIES_MAX):
        try:
            return await attempt(tried > 0)
        except NewerLake as error:
            raise Problem(Code.LAKE_TOO_NEW, f"{error}.") from error
        except (Vanished, FileNotFoundError) as error:
            trouble = error
        except OSError as error:
            raise Problem(Code.LAKE_UNAVAILABLE, f"{error.strerror or 'Trouble'}.") from error
    raise Problem(Code.LAKE_UNAVAILABLE, "Parts of the lake cannot be read.") from trouble
