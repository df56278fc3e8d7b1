"""GET /api/v1/stats/*: the first edition of the API of POST /query, which older clients speak.

    aggregate           {"results": {"visitors": {"value": 7, "change": 16.67}, …}}
    timeseries          {"results": [{"date": "2025-11-01", "visitors": 7}, …]}, empty buckets too
    breakdown           {"results": [{"page": "/", "visitors": 7}, …]}
    realtime/visitors   7, of page views in the last five minutes

Each is written as a question of POST /query, and so means the same: see stats_v1_words. Source:
Plausible's "Stats API v1 reference (legacy)".
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from report.http.query_string import decode
from report.http.resource import Resource
from report.http.responses import JSON, to_json
from report.questions.answer import Answer
from report.questions.query import KIND
from report.questions.query_run import Form, asked
from report.questions.question import format_of
from report.questions.stats_v1_words import (
    TakesAggregate,
    TakesBreakdown,
    TakesRealtime,
    TakesTimeseries,
    aggregate,
    breakdown,
    realtime,
    timeseries,
)
from report.terms.query.body import Body

Number = int | float | None


class Figure(Struct, frozen=True):
    value: Number
    change: float | UnsetType | None = UNSET


class Aggregate(Struct, frozen=True):
    results: dict[str, Figure]


class Rows(Struct, frozen=True):
    results: list[dict[str, str | Number]]


def tell_aggregate(answer: Answer) -> bytes:
    [row] = answer.results
    compared = row.comparison.change if row.comparison else [UNSET] * len(row.metrics)
    triples = zip(answer.query.metrics, row.metrics, compared, strict=True)
    return to_json(Aggregate({name: Figure(value, change) for name, value, change in triples}))


def tell_timeseries(answer: Answer) -> bytes:
    """Of an empty bucket no events are told, and no rate."""
    assert answer.meta.time_labels is not UNSET
    rows = {row.dimensions[0]: row.metrics for row in answer.results}
    counts = ("visitors", "visits", "pageviews", "events")
    names = answer.query.metrics
    nothing: list[Number] = [0 if name in counts else None for name in names]
    return to_json(
        Rows(
            [
                {"date": label, **dict(zip(names, rows.get(label, nothing), strict=True))}
                for label in answer.meta.time_labels
            ]
        )
    )


def tell_breakdown(answer: Answer) -> bytes:
    [name] = answer.query.dimensions
    name = name.split(":", 2)[-1]
    names = answer.query.metrics
    return to_json(
        Rows(
            [
                {name: row.dimensions[0], **dict(zip(names, row.metrics, strict=True))}
                for row in answer.results
            ]
        )
    )


def tell_realtime(answer: Answer) -> bytes:
    return str(answer.results[0].metrics[0]).encode()


async def _answer(
    takes: type[Any], write: Callable[[Any], Body], form: Form[Answer], request: Request
) -> Response:
    body = write(decode(request.scope["query_string"], takes))
    return await asked(request, KIND, body, form)


def _resource(
    name: str,
    takes: type[Struct],
    write: Callable[[Any], Body],
    answers: type[Struct] | None,
    tell: Callable[[Answer], bytes],
    depends_on_clock: bool = False,
) -> Resource:
    version = format_of(answers) if answers else b"number"
    form = Form(version, JSON, tell, depends_on_clock)
    return Resource(
        path=f"/api/v1/stats/{name}",
        summary=f"{name.capitalize()}, as older clients ask",
        get=partial(_answer, takes, write, form),
        takes=takes,
        answers=answers,
        other_types=() if answers else (JSON,),
        is_cached=not depends_on_clock,
        asks=True,
    )


RESOURCES = (
    _resource("aggregate", TakesAggregate, aggregate, Aggregate, tell_aggregate),
    _resource("timeseries", TakesTimeseries, timeseries, Rows, tell_timeseries),
    _resource("breakdown", TakesBreakdown, breakdown, Rows, tell_breakdown),
    _resource("realtime/visitors", TakesRealtime, realtime, None, tell_realtime, True),
)
