"""POST /journeys, /api/v2/journeys: the ways that visits take, see report.terms.query.journeys.

Of each site one row a way is kept; then those of all sites are put together.
"""

import json

from msgspec import UNSET, Struct, UnsetType, field

from report.engine.pool import Cursor
from report.questions.about import Understood, understood
from report.questions.kept import kept
from report.questions.query_run import Kind, Relations
from report.questions.written import Written
from report.terms.query.dimensions import PAGE
from report.terms.query.journeys import End, JourneysBody, JourneysQuery, read
from report.terms.query.order import numbered
from report.terms.query.parts import IS_VIEW
from report.terms.query.seen import VISIT, Seen


class Journey(Struct, frozen=True, kw_only=True):
    """`rate`: percent of the visits that have one."""

    journey: list[str]
    visits: int
    rate: float


class Others(Struct, frozen=True, kw_only=True):
    journeys: int
    visits: int


class JourneysAbout(Struct, frozen=True, kw_only=True):
    """`visits`: those that have a journey; `others`: what is not on this page of the answer."""

    visits: int
    others: Others


class JourneysAsked(Understood, frozen=True, kw_only=True):
    first: End | UnsetType = field(default=UNSET, name="from")
    last: End | UnsetType = field(default=UNSET, name="to")
    steps: int
    dimensions: list[str]
    pagination: dict[str, int]


class JourneysAnswer(Struct, frozen=True, kw_only=True):
    """Most visits first, ties by what is in them."""

    results: list[Journey]
    meta: JourneysAbout
    query: JourneysAsked


def statement(query: JourneysQuery) -> str:
    """It goes on after the definition of `events`, and gives each way with its visits."""
    seen = Seen(query.range, query.goals, query.bound)
    is_told = IS_VIEW if query.told_by.name == PAGE else "event_type <> 'engagement'"
    is_end = seen.passes([query.end], seen.of_event) if query.end else "true"
    passes = seen.passes(query.filters, seen.of_event)
    rows = f"""(
                    SELECT *, {is_told} AS is_told, {is_end} AS is_end,
                        coalesce({seen.of_event(query.told_by)}, '{query.told_by.absent}') AS step
                    FROM seen
                    WHERE {seen.is_event} AND {seen.is_dated()} AND {passes} AND visit IS NOT NULL
                )"""
    visit = f"PARTITION BY {VISIT}"
    side, direction = ("<=", "DESC") if query.is_to else (">=", "ASC")
    return f"""
    , {", ".join(seen.relations())}, event AS (
        {numbered(rows, VISIT, f"{VISIT}, is_told, is_end, step")}
    ), side AS (
        SELECT * FROM event
        QUALIFY n {side} min(n) FILTER (is_end) OVER ({visit})
    ), step AS (
        SELECT {VISIT}, step, n FROM side WHERE is_told
        QUALIFY step IS DISTINCT FROM lag(step) OVER ({visit} ORDER BY n)
    ), near AS (
        SELECT * FROM step
        QUALIFY row_number() OVER ({visit} ORDER BY n {direction}) <= {query.steps:d}
    ), journey AS (
        SELECT list(step ORDER BY n) AS steps FROM near GROUP BY {VISIT}
    )
    SELECT steps, count(*) AS visits FROM journey GROUP BY steps"""


def ask(
    cursor: Cursor, body: JourneysBody, query: JourneysQuery, every: Relations
) -> JourneysAnswer:
    with kept(cursor, query, every[0], statement, with_visits=True) as ways:
        merged = f"SELECT steps, sum(visits)::BIGINT AS visits FROM {ways} GROUP BY steps"
        rows = cursor.execute(
            f"{merged} ORDER BY visits DESC, steps LIMIT {query.limit:d} OFFSET {query.offset:d}"
        ).fetchall()
        [(count, visits)] = cursor.execute(
            f"SELECT count(*), coalesce(sum(visits), 0)::BIGINT FROM ({merged})"
        ).fetchall()
    shown = sum(row[1] for row in rows)
    return JourneysAnswer(
        results=[
            Journey(journey=steps, visits=of, rate=round(100 * of / visits, 2))
            for steps, of in rows
        ],
        meta=JourneysAbout(
            visits=visits, others=Others(journeys=count - len(rows), visits=visits - shown)
        ),
        query=_asked(body, query),
    )


def _asked(body: JourneysBody, query: JourneysQuery) -> JourneysAsked:
    return JourneysAsked(
        **understood(body, query),
        first=body.first,
        last=body.last,
        steps=query.steps,
        dimensions=[query.told_by.name],
        pagination={"limit": query.limit, "offset": query.offset},
    )


def table(answer: JourneysAnswer) -> tuple[list[str], list[list[object]]]:
    """The names of its columns, and its rows; a journey is a list as JSON has it."""
    rows: list[list[object]] = [
        [json.dumps(each.journey, ensure_ascii=False), each.visits, each.rate]
        for each in answer.results
    ]
    return ["journey", "visits", "rate"], rows


QUESTION = Written(
    name="journeys",
    summary="The ways that visits take from a page, or to one",
    body=JourneysBody,
    answers=JourneysAnswer,
    table=table,
    kind=Kind(read, ask),
)
