"""How a question in the language of POST /query is answered, whoever writes it down."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Generic, TypeVar

import duckdb
import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from report.engine.pool import Cursor
from report.http.responses import entity_tag, is_known, not_modified, of_this_moment, tagged
from report.problem import Code, Problem
from report.questions.events_of import resolved
from report.questions.run import body_of, left_by, retried
from report.runtime import Runtime
from report.snapshot.relation import Relation
from report.snapshot.snapshot import Snapshot
from report.terms import sources
from report.terms.query.asking import Asking
from report.terms.query.filters import Leaf, leaves
from report.terms.query.selected import Limits, Named, Selected
from report.terms.query.wrong import Wrong
from report.terms.zone import to_instant

Body = TypeVar("Body", bound=Asking)
Asked = TypeVar("Asked", bound=Selected)
Answer = TypeVar("Answer", bound=Struct)

Relations = Sequence[Sequence[Relation]]  # of each range of dates: one for each site


@dataclass(frozen=True, slots=True)
class Kind(Generic[Body, Asked, Answer]):
    """How a question is read and asked. Both raise Wrong, and `ask` Problem; it is in a thread."""

    read: Callable[[Body, Limits, int, Named], Asked]
    ask: Callable[[Cursor, Body, Asked, Relations], Answer]


@dataclass(frozen=True, slots=True)
class Form(Generic[Answer]):
    """How an answer is told. `version` differs when the same figures are told differently."""

    version: bytes
    media_type: str
    tell: Callable[[Answer], bytes]
    depends_on_clock: bool = False  # then no tag says what the answer is


async def asked(
    request: Request, kind: Kind[Body, Asked, Answer], body: Body, form: Form[Answer]
) -> Response:
    """Raises Problem."""
    return await retried(Run(request, kind, body, form).attempt)


class Run(Generic[Body, Asked, Answer]):
    """One question of one request."""

    def __init__(
        self, request: Request, kind: Kind[Body, Asked, Answer], body: Body, form: Form[Answer]
    ) -> None:
        """Raises Problem for what cannot be asked."""
        self._request = request
        self._runtime: Runtime = request.state.runtime
        self._kind = kind
        self._body = body
        self._now = to_instant(datetime.now(UTC))
        self._query = self._read()
        self._form = form

    def _read(self) -> Asked:
        settings = self._runtime.settings
        limits = Limits(
            settings.query_sites_max,
            settings.query_terms_max,
            settings.query_nesting_max,
            settings.query_pattern_characters_max,
            settings.query_rows_max,
            settings.query_periods_max,
        )
        try:
            return self._kind.read(self._body, limits, self._now, Named())
        except Wrong as wrong:
            raise _problem(wrong) from None

    async def attempt(self, held: bool) -> Response:
        """`held`: the files of its snapshots stay until it is answered."""
        async with AsyncExitStack() as stack:
            snapshots = [
                [
                    await stack.enter_async_context(
                        self._runtime.snapshot(each.utc_dates, site, held)
                    )
                    for site in self._query.sites
                ]
                for each in self._query.ranges
            ]
            make = partial(self._made, snapshots)
            if self._form.depends_on_clock:
                return of_this_moment(await make(), self._form.media_type)
            tag = self._tag(snapshots)
            if is_known(self._request.headers, tag):
                if self._request.method == "POST":
                    raise Problem(Code.UNCHANGED, "If-None-Match names the present answer.")
                self._runtime.telemetry.known("not_modified")
                return not_modified(tag)
            told = await body_of(self._runtime, tag, make)
            return tagged(told, tag, self._form.media_type)

    def _tag(self, snapshots: Sequence[Sequence[Snapshot]]) -> str:
        """Of all that the answer depends on; of the time only as far as it says which dates."""
        dates = repr([(each.first, each.last, each.intervals) for each in self._query.ranges])
        return entity_tag(
            self._form.version,
            self._form.media_type.encode(),
            sources.identity(),
            msgspec.json.encode(self._body),
            dates.encode(),
            *(snapshot.identity for of_range in snapshots for snapshot in of_range),
        )

    async def _made(self, snapshots: Sequence[Sequence[Snapshot]]) -> bytes:
        rows = sum(snapshot.cost_rows for of_range in snapshots for snapshot in of_range)
        ask = partial(self._ask, snapshots)
        return await self._runtime.pool.run(ask, rows, left_by(self._request))

    def _ask(self, snapshots: Sequence[Sequence[Snapshot]], cursor: Cursor) -> bytes:
        """In a thread."""
        _try_patterns(cursor, self._query)
        every = [
            [
                self._runtime.relation(cursor, snapshot, site)
                for site, snapshot in zip(self._query.sites, of_range, strict=True)
            ]
            for of_range in snapshots
        ]
        try:
            query = resolved(self._query, every[0], self._now)
            answer = self._kind.ask(cursor, self._body, query, every)
        except Wrong as wrong:
            raise _problem(wrong) from None
        return self._form.tell(answer)


def _problem(wrong: Wrong) -> Problem:
    return Problem(Code.BAD_QUERY, f"{wrong}.")


def _try_patterns(cursor: Cursor, query: Selected) -> None:
    """By who is to use them. Raises Problem."""
    for leaf in (leaf for each in query.conditions for leaf in leaves(each)):
        if not isinstance(leaf, Leaf) or leaf.operator.takes != "pattern":
            continue
        for n, pattern in enumerate(leaf.given):
            try:
                cursor.execute("SELECT regexp_matches('', $given)", {"given": pattern}).fetchall()
            except duckdb.InvalidInputException as error:
                what = str(error).removeprefix("Invalid Input Error: ")
                wrong = Wrong(f"{leaf.at}[2][{n}]", f"this is no pattern of RE2: {what}")
                raise _problem(wrong) from None
