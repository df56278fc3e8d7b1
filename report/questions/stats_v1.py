"""GET /api/v1/stats/*: the first edition of the API of POST /query, which older clients speak.

    aggregate           {"results": {"visitors": {"value": 7, "change": 16.67}, …}}
    timeseries          {"results": [{"date": "2025-11-01", "visitors": 7}, …]}, empty buckets too
    breakdown           {"results": [{"page": "/", "visitors": 7}, …]}
    realtime/visitors   7, of page views in the last five minutes

    period   := day | 7d | 30d | month | 6mo | 12mo   up to `date`, today unless given
              | custom                                with date=first,last
    filters  := dimension ("==" | "!=" | "~") value ("|" value)* (";" …)*
                "*" in a value is any text; "\\" before "|" and ";" takes their meaning away

Each is written as a question of POST /query, and so means the same. Sources: Plausible's "Stats API
v1 reference (legacy)".
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from report.http.query_string import decode
from report.http.resource import Resource
from report.http.responses import JSON, to_json
from report.problem import Code, Problem
from report.questions.answer import Answer
from report.questions.query_run import Form, asked
from report.questions.question import format_of
from report.terms.period import ONE_DAY
from report.terms.query.body import Body, Comparison, Include, Pagination
from report.terms.query.date_range import add_months
from report.terms.selection import Site

Number = int | float | None
Text = Annotated[str, Meta(max_length=2_000)]
PERIODS = {"day": 1, "7d": 7, "30d": 30}
MONTHS = {"month": 1, "6mo": 6, "12mo": 12}
LIVE = timedelta(minutes=5)


class Takes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    site_id: Site
    period: Literal["day", "7d", "30d", "month", "6mo", "12mo", "custom"] = "30d"
    date: Text | UnsetType = UNSET
    metrics: Text = "visitors"
    filters: Text = ""
    with_imported: Literal["true", "false"] = "false"


class TakesAggregate(Takes, frozen=True, kw_only=True):
    compare: Literal["previous_period"] | UnsetType = UNSET


class TakesTimeseries(Takes, frozen=True, kw_only=True):
    interval: Literal["date", "day", "month"] | UnsetType = UNSET


class TakesBreakdown(Takes, frozen=True, kw_only=True):
    property: Text
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100
    page: Annotated[int, Meta(ge=1, le=1_000)] = 1


class TakesRealtime(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    site_id: Site


class Figure(Struct, frozen=True):
    value: Number
    change: float | UnsetType | None = UNSET


class Aggregate(Struct, frozen=True):
    results: dict[str, Figure]


class Rows(Struct, frozen=True):
    results: list[dict[str, str | Number]]


def aggregate(takes: TakesAggregate) -> Body:
    compared = Include(comparisons=Comparison(mode="previous_period"))
    return _body(takes, include=compared if takes.compare else None)


def timeseries(takes: TakesTimeseries) -> Body:
    interval = takes.interval or ("month" if takes.period in ("6mo", "12mo") else "day")
    if takes.period == "day":
        time = "time:hour"
    else:
        time = "time:month" if interval == "month" else "time:day"
    return _body(takes, dimensions=[time], include=Include(time_labels=True))


def breakdown(takes: TakesBreakdown) -> Body:
    page = Pagination(limit=takes.limit, offset=(takes.page - 1) * takes.limit)
    return _body(takes, dimensions=[takes.property], pagination=page)


def realtime(takes: TakesRealtime) -> Body:
    now = datetime.now(UTC)
    ends = [(now - LIVE).isoformat(), now.isoformat()]
    views = ["is", "event:name", ["page_view"]]
    return Body(site_id=takes.site_id, metrics=["visitors"], date_range=ends, filters=[views])


def _body(takes: Takes, **more: Any) -> Body:
    return Body(
        site_id=takes.site_id,
        metrics=takes.metrics.split(","),
        date_range=_dates(takes),
        filters=[_filter(each) for each in _split(takes.filters, ";") if each],
        **more,
    )


def _dates(takes: Takes) -> list[str]:
    given = takes.date or ""
    if takes.period == "custom":
        return given.split(",")
    try:
        last = date.fromisoformat(given) if given else datetime.now(UTC).date()
        if takes.period in PERIODS:
            return [str(last - timedelta(PERIODS[takes.period] - 1)), str(last)]
        first = last.replace(day=1)
        end = add_months(first, 1) - ONE_DAY
        return [str(add_months(first, 1 - MONTHS[takes.period])), str(end)]
    except (ValueError, OverflowError):
        raise Problem(Code.BAD_PARAMETER, "date is as 2025-11-25.") from None


def _filter(text: str) -> list[Any]:
    match = re.fullmatch(r"([^=!~]+)(==|!=|~)(.*)", text, re.S)
    if match is None:
        raise Problem(Code.BAD_PARAMETER, "A filter is as visit:source==Google.")
    name, operator, given = match.groups()
    values = [re.sub(r"\\([|;])", r"\1", value) for value in _split(given, "|")]
    if any("*" in value for value in values) and operator != "~":
        stars = ["^" + ".*".join(map(re.escape, re.split(r"\*+", value))) + "$" for value in values]
        return ["matches" if operator == "==" else "matches_not", name, stars]
    return [{"==": "is", "!=": "is_not", "~": "contains"}[operator], name, values]


def _split(text: str, by: str) -> list[str]:
    return re.split(rf"(?<!\\){re.escape(by)}", text)


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
    takes: type[Any], write: Callable[[Any], Body], form: Form, request: Request
) -> Response:
    return await asked(request, write(decode(request.scope["query_string"], takes)), form)


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
