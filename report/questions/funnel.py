"""POST /funnel, /api/v2/funnel: how many go from step to step, see report.terms.query.funnel.

Of each site one row a unit is kept; then those of all sites are counted.
"""

import json
from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from report.engine.pool import Cursor
from report.questions.about import Understood, Warned, understood, warned
from report.questions.funnel_statement import needs_visits, statement
from report.questions.kept import kept
from report.questions.labels import label
from report.questions.query_run import Kind, Relations
from report.questions.written import Written
from report.terms.query.funnel import FunnelBody, FunnelQuery, Order, Step, Unit, read
from report.terms.zone import SECOND_US


class Reached(Struct, frozen=True, kw_only=True):
    """`step`: as it was given; in any order how many of them. Rates in percent, null of nobody.

    `median_s`: seconds from the step before, null where there is none.
    """

    step: Step | int
    count: int
    rate_to_previous: float | None
    rate_to_first: float | None
    median_s: float | None


class FunnelResult(Struct, frozen=True, kw_only=True):
    dimensions: list[str]
    steps: list[Reached]


class FunnelAbout(Struct, frozen=True, kw_only=True):
    total_rows: int
    metric_warnings: dict[str, Warned] | UnsetType = UNSET


class FunnelAsked(Understood, frozen=True, kw_only=True):
    steps: list[Step]
    window_s: int
    unit: Unit
    order: Order
    dimensions: list[str]
    pagination: dict[str, int]


class FunnelAnswer(Struct, frozen=True, kw_only=True):
    """Most of the first step first, ties by the dimension."""

    results: list[FunnelResult]
    meta: FunnelAbout
    query: FunnelAsked


def ask(cursor: Cursor, body: FunnelBody, query: FunnelQuery, every: Relations) -> FunnelAnswer:
    with kept(cursor, query, every[0], statement, needs_visits(query)) as units:
        rows = cursor.execute(_counted(query, units)).fetchall()
        return FunnelAnswer(
            results=[_result(query, row) for row in rows],
            meta=_about(cursor, query, units),
            query=_asked(body, query),
        )


def _counted(query: FunnelQuery, units: str) -> str:
    """The dimension, then count and median of each step."""
    told = []
    for n, _ in enumerate(query.steps, 1):
        took = f"moments[{n}] - moments[{n - 1}]" if n > 1 else "NULL"
        told += [f"count(*) FILTER (len(moments) >= {n})"]
        told += [f"median({took}) FILTER (len(moments) >= {n})"]
    grouped = f"GROUP BY d0 ORDER BY 2 DESC, d0 LIMIT {query.limit:d} OFFSET {query.offset:d}"
    if not query.dimensions:
        return f"SELECT NULL, {', '.join(told)} FROM {units}"
    return f"SELECT d0, {', '.join(told)} FROM {units} {grouped}"


def _result(query: FunnelQuery, row: Sequence[Any]) -> FunnelResult:
    counts, medians = row[1::2], row[2::2]
    return FunnelResult(
        dimensions=[label(each, row[0], query.zone) for each in query.dimensions],
        steps=[
            Reached(
                step=n + 1 if query.order == "any" else step,
                count=counts[n],
                rate_to_previous=_percent(counts[n], counts[n - 1]) if n else None,
                rate_to_first=_percent(counts[n], counts[0]),
                median_s=None if medians[n] is None else round(medians[n] / SECOND_US, 3),
            )
            for n, step in enumerate(query.steps)
        ],
    )


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def _about(cursor: Cursor, query: FunnelQuery, units: str) -> FunnelAbout:
    rows, of_days = cursor.execute(
        f"SELECT count(DISTINCT {{'d0': d0}}), bool_or(of_days) FROM {units}"
    ).fetchall()[0]
    found = warned(query, lambda: bool(of_days)) if query.unit == "visitor" else None
    return FunnelAbout(
        total_rows=rows if query.dimensions else 1,
        metric_warnings={"count": found} if found else UNSET,
    )


def _asked(body: FunnelBody, query: FunnelQuery) -> FunnelAsked:
    return FunnelAsked(
        **understood(body, query),
        steps=list(query.steps),
        window_s=query.window_s,
        unit=query.unit,
        order=query.order,
        dimensions=body.dimensions or [],
        pagination={"limit": query.limit, "offset": query.offset},
    )


def table(answer: FunnelAnswer) -> tuple[list[str], list[list[object]]]:
    """The names of its columns, and its rows."""
    rows: list[list[object]] = [
        [*result.dimensions, *(_cell(getattr(each, name)) for name in Reached.__struct_fields__)]
        for result in answer.results
        for each in result.steps
    ]
    return [*answer.query.dimensions, *Reached.__struct_fields__], rows


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


QUESTION = Written(
    name="funnel",
    summary="How many go from step to step",
    body=FunnelBody,
    answers=FunnelAnswer,
    table=table,
    kind=Kind(read, ask),
)
