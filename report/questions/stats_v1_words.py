"""What GET /api/v1/stats/* takes, and the question of POST /query that it means.

period   := day | 7d | 30d | month | 6mo | 12mo   up to `date`, today unless given
          | custom                                with date=first,last
filters  := dimension ("==" | "!=" | "~") value ("|" value)* (";" …)*
            "*" in a value is any text; "\\" before "|" and ";" takes their meaning away
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from report.problem import Code, Problem
from report.terms.period import ONE_DAY
from report.terms.query.asking import Pagination
from report.terms.query.body import Body, Comparison, Include
from report.terms.query.date_range import add_months
from report.terms.selection import Site

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
