"""What POST /query answers, in the shape of Plausible's Stats API v2."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from report.questions.about import Understood, Warned, understood, warned
from report.questions.before import Compared, beside
from report.questions.figures import Figures, has_visitors
from report.questions.labels import buckets_of, labels
from report.terms.query.body import Body
from report.terms.query.parts import VISITORS
from report.terms.query.request import Query


class Result(Struct, frozen=True):
    """In the order of the question. Null: it has no meaning, as the bounce rate of no visits."""

    dimensions: list[str]
    metrics: list[int | float | None]
    comparison: Compared | UnsetType = UNSET


class About(Struct, frozen=True):
    total_rows: int | UnsetType = UNSET
    time_labels: list[str] | UnsetType = UNSET
    imports_included: bool | UnsetType = UNSET
    metric_warnings: dict[str, Warned] | UnsetType = UNSET


class Asked(Understood, frozen=True, kw_only=True):
    metrics: list[str]
    dimensions: list[str]
    order_by: list[tuple[str, str]]
    include: dict[str, Any]
    pagination: dict[str, int]
    comparison_date_range: list[str] | UnsetType = UNSET


class Answer(Struct, frozen=True):
    results: list[Result]
    meta: About
    query: Asked


def told(body: Body, query: Query, figures: Figures, before: Figures | None) -> Answer:
    rows = figures.page()
    comparisons: Sequence[Compared | UnsetType] = [UNSET] * len(rows)
    if before is not None and query.compared is not None:
        comparisons = beside(query, query.compared, rows, before)
    count = len(query.dimensions)
    results = [
        Result(labels(query, row), list(row[count:]), comparison)
        for row, comparison in zip(rows, comparisons, strict=True)
    ]
    return Answer(results, _about(query, figures), _asked(body, query))


def table(answer: Answer) -> tuple[list[str], list[list[object]]]:
    """The names of its columns, and its rows."""
    asked = answer.query
    rows: list[list[object]] = [[*row.dimensions, *row.metrics] for row in answer.results]
    return [*asked.dimensions, *asked.metrics], rows


def _about(query: Query, figures: Figures) -> About:
    include = query.include
    return About(
        total_rows=figures.count() if include.total_rows else UNSET,
        time_labels=[label for _, label in buckets_of(query, query.range)]
        if include.time_labels
        else UNSET,
        imports_included=True if include.imports else UNSET,
        metric_warnings=_warnings(query, figures) or UNSET,
    )


def _warnings(query: Query, figures: Figures) -> dict[str, Warned]:
    if not has_visitors(query):
        return {}
    found = warned(query, figures.are_of_days)
    return {each.name: found for each in query.metrics if VISITORS in each.parts} if found else {}


def _asked(body: Body, query: Query) -> Asked:
    names = {"metric": body.metrics, "dimension": body.dimensions or []}
    include: dict[str, Any] = {
        name: True
        for name in ("time_labels", "total_rows", "imports")
        if getattr(query.include, name)
    }
    if query.include.comparisons:
        include["comparisons"] = query.include.comparisons
    return Asked(
        **understood(body, query),
        metrics=body.metrics,
        dimensions=body.dimensions or [],
        order_by=[(names[each.of][each.number], each.direction) for each in query.order],
        include=include,
        pagination={"limit": query.limit, "offset": query.offset},
        comparison_date_range=query.compared.ends if query.compared else UNSET,
    )
