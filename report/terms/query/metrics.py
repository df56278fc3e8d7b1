"""The metrics of POST /query. One row each: what it counts, over which rows, and as SQL.

A metric is a formula over parts, see report.terms.query.parts.

Grouped by an event's dimension a visit is in every group in which it has an event, so that only
counting visits means something (`of_events`); what is said of whole visits is refused there.
A figure that has no meaning, as the bounce rate of no visits, is null. Ratios have two decimals.
"""

from dataclasses import dataclass, replace
from typing import Literal

from ingest.sites.goals import Goal
from report.terms.dimensions import KEY_CHARACTERS_MAX
from report.terms.query import goals as of_goals
from report.terms.query.bound import Bound
from report.terms.query.dimensions import GOAL, PAGE, Dimension
from report.terms.query.parts import (
    EVENTS,
    EXITS,
    EXITS_SEEN,
    VIEWS,
    VISITS,
    VISITS_SEEN,
    WHO,
    Merge,
    Part,
    of_visits,
)
from report.terms.query.wrong import Wrong, unknown

Kind = Literal["count", "number", "points"]  # how a change of it is told; points: of percent

PROPS = "props."


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    words: str
    parts: tuple[Part, ...]
    formula: str  # over the merged parts
    kind: Kind = "count"
    of_events: tuple[Part, ...] | None = None  # in place of parts, by an event's dimension
    needs: str = ""  # a dimension
    share_of: Literal["", "everyone", "before_goals", "each_group"] = ""  # whose visitors divide it

    @property
    def is_of_visits(self) -> bool:
        return any(part.over == "visits" for part in self.parts)


def _count(name: str) -> str:
    return f"coalesce({name}, 0)::BIGINT"


def _ratio(above: str, below: str, times: str = "1.0") -> str:
    return f"round({times} * coalesce({above}, 0) / nullif({below}, 0), 2)"


_ROWS = (
    Metric("visitors", "Distinct user_ids among the events.", WHO, _count("visitors")),
    Metric(
        "visits",
        "Visits that begin on the dates; by an event's dimension, those that have such an event.",
        (VISITS,),
        _count("visit_visits"),
        of_events=(replace(VISITS_SEEN, name="visit_visits"),),
    ),
    Metric("pageviews", "Events of type page_view.", (VIEWS,), _count("pageviews")),
    Metric("events", "Events of every type but engagement.", (EVENTS,), _count("events")),
    Metric(
        "views_per_visit",
        "Page views of whole visits by visits.",
        (of_visits("views"), VISITS),
        _ratio("visit_views", "visit_visits"),
        "number",
    ),
    Metric(
        "bounce_rate",
        "Percent of the visits with a page view that have one, no other event, and less than 10 s"
        " engaged.",
        (of_visits("bounces"), of_visits("visits_with_views")),
        _ratio("visit_bounces", "visit_visits_with_views", "100.0"),
        "points",
    ),
    Metric(
        "visit_duration",
        "Seconds from a visit's first event to its last, engagement among them; the mean.",
        (of_visits("ms"), VISITS),
        _ratio("visit_ms", "visit_visits", "0.001"),
        "number",
    ),
    Metric(
        "time_on_page",
        "Seconds that a visit was engaged with a page, the mean over pages that visits have seen.",
        (Part("engaged_ms", "pages", "sum(engaged_ms)"), Part("pages", "pages", "count(*)")),
        _ratio("engaged_ms", "pages", "0.001"),
        "number",
    ),
    Metric(
        "scroll_depth",
        "Percent of a page that a visit has read at most, the mean over those that tell it.",
        (
            Part("scrolled", "pages", "sum(scroll)"),
            Part("pages_scrolled", "pages", "count(scroll)"),
        ),
        _ratio("scrolled", "pages_scrolled"),
        "points",
    ),
    Metric(
        "percentage",
        "Percent of all visitors of the question, without its dimensions.",
        WHO,
        _ratio("visitors", "everyone_visitors", "100.0"),
        "points",
        share_of="everyone",
    ),
    Metric(
        "conversion_rate",
        "Percent of the visitors that are there without the filters for goals and props.",
        WHO,
        _ratio("visitors", "before_goals_visitors", "100.0"),
        "points",
        share_of="before_goals",
    ),
    Metric(
        "group_conversion_rate",
        "The same of the visitors of each group, which goals and props do not divide.",
        WHO,
        _ratio("visitors", "each_group_visitors", "100.0"),
        "points",
        share_of="each_group",
    ),
    Metric(
        "exits",
        "Visits that have a last page view; by event:page, those whose last it is.",
        (EXITS,),
        _count("exits"),
        of_events=(replace(EXITS_SEEN, name="exits"),),
    ),
    Metric(
        "exit_rate",
        "Percent of a page's views after which the visit had no other one.",
        (EXITS_SEEN, VIEWS),
        _ratio("exits_seen", "pageviews", "100.0"),
        "points",
        needs=PAGE,
    ),
)
METRICS = {row.name: row for row in _ROWS}

REVENUE = {
    "total_revenue": "What the events of goals are worth, by the prop that each names as revenue.",
    "average_revenue": "The same, the mean over events that have it.",
}
OF_PROPS = ("sum", "avg", "min", "max", "median")
NAMES = (*METRICS, *REVENUE, *(f"{each}:{PROPS}KEY" for each in OF_PROPS))


def metric(name: str, number: int, at: str, goals: tuple[Goal, ...], bound: Bound) -> Metric:
    """The one of that name, the `number`th of its question, in which these goals are named.

    Raises Wrong.
    """
    if name in METRICS:
        return METRICS[name]
    function, _, key = name.partition(f":{PROPS}")
    if function in OF_PROPS and key:
        if len(key) > KEY_CHARACTERS_MAX:
            raise Wrong(at, f"a key of props has at most {KEY_CHARACTERS_MAX} characters")
        return _over_numbers(name, function, number, of_goals.number_of(key, bound))
    if name not in REVENUE:
        raise unknown(at, "metric", name, NAMES)
    worth = [goal for goal in goals if goal.revenue]
    if not worth:
        raise Wrong(at, f"{name} needs a goal with revenue, in {GOAL}; or take sum:props.KEY")
    cases = (f"WHEN {_is_goal(goal, bound)} THEN {of_goals.value(goal, bound)}" for goal in worth)
    function = "sum" if name == "total_revenue" else "avg"
    return _over_numbers(name, function, number, f"CASE {' '.join(cases)} END", REVENUE[name])


def _is_goal(goal: Goal, bound: Bound) -> str:
    """By event:goal an event stands in the groups of all its goals; each has its own worth."""
    return f"{of_goals.condition(goal, bound)} AND coalesce(goal = {bound(goal.name)}, true)"


def _over_numbers(name: str, function: str, number: int, value: str, words: str = "") -> Metric:
    """A part's name has a number: there may be several of a kind."""
    words = words or f"The {function} of a prop's values that are numbers."
    summed, counted = f"sum_{number}", f"count_{number}"
    count = Part(counted, "events", f"count({value})")
    total = Part(summed, "events", f"fsum({value})", "fsum")
    if function in ("min", "max"):
        part = Part(f"{function}_{number}", "events", f"{function}({value})", _merge_of(function))
        return Metric(name, words, (part,), part.name, "number")
    if function == "median":
        listed = f"list({value}) FILTER (WHERE {value} IS NOT NULL)"
        part = Part(f"list_{number}", "events", listed, "list")
        return Metric(name, words, (part,), f"list_median({part.name})::DOUBLE", "number")
    if function == "avg":
        return Metric(name, words, (total, count), f"{summed} / nullif({counted}, 0)", "number")
    return Metric(name, words, (total,), summed, "number")


def _merge_of(function: str) -> Merge:
    return "min" if function == "min" else "max"


def refuse(metric: Metric, dimensions: tuple[Dimension, ...], has_goal: bool, at: str) -> None:
    """Raises Wrong for what means nothing together."""
    names = [dimension.name for dimension in dimensions]
    of_event = [each.name for each in dimensions if each.level == "event"]
    if metric.needs and metric.needs not in names:
        raise Wrong(at, f"{metric.name} needs {metric.needs} among the dimensions")
    if metric.share_of == "everyone" and not dimensions:
        raise Wrong(at, f"{metric.name} needs dimensions: it is of all their visitors")
    if metric.share_of in ("before_goals", "each_group") and not has_goal:
        raise Wrong(at, f"{metric.name} needs {GOAL}, as a filter or among the dimensions")
    if metric.is_of_visits and metric.of_events is None and of_event:
        raise Wrong(
            at,
            f"{metric.name} is of whole visits and means nothing by {of_event[0]};"
            " take visit:entry_page or another visit: dimension",
        )
    if metric.name.startswith("exit"):
        _refuse_exits(metric, dimensions, of_event, at)
    if any(part.over == "pages" for part in metric.parts):
        others = [name for name in of_event if name not in (PAGE, "event:hostname")]
        if others:
            raise Wrong(at, f"{metric.name} is of pages and means nothing by {others[0]}")


def _refuse_exits(
    metric: Metric, dimensions: tuple[Dimension, ...], of_event: list[str], at: str
) -> None:
    others = [name for name in of_event if name != PAGE]
    if of_event and others:
        raise Wrong(at, f"{metric.name} means nothing by {others[0]}; take event:page")
    times = [each.name for each in dimensions if each.level == "time"]
    if of_event and times:
        raise Wrong(
            at, f"{metric.name} by event:page means nothing by {times[0]}; take visit:exit_page"
        )


def change(kind: Kind, now: float | None, before: float | None) -> float | None:
    """From before to now, in percent; of rates in points. From nothing it is 100."""
    if now is None or before is None:
        return None
    if kind == "points":
        return round(now - before, 2)
    if before == 0:
        return 0.0 if now == 0 else 100.0
    return round(100.0 * (now - before) / before, 2)
