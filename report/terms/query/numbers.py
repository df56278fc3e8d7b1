"""Metrics over the numbers in props: of any prop, and what events of goals are worth."""

from collections.abc import Sequence

from ingest.sites.goals import Goal
from report.terms.query import goals as of_goals
from report.terms.query.bound import Bound
from report.terms.query.metric import Metric
from report.terms.query.parts import Merge, Part

REVENUE = {
    "total_revenue": "What the events of goals are worth, by the prop that each names as revenue.",
    "average_revenue": "The same, the mean over events that have it.",
}
OF_PROPS = ("sum", "avg", "min", "max", "median")


def of_prop(name: str, function: str, key: str, number: int, bound: Bound) -> Metric:
    """`function` is one of OF_PROPS; `number` tells it from others of its question."""
    words = f"The {function} of a prop's values that are numbers."
    return _over_numbers(name, words, function, number, of_goals.number_of(key, bound))


def of_revenue(name: str, goals: Sequence[Goal], number: int, bound: Bound) -> Metric:
    """`name` is one of REVENUE; of these goals, each of which has a revenue."""
    cases = (f"WHEN {_is_goal(goal, bound)} THEN {of_goals.value(goal, bound)}" for goal in goals)
    function = "sum" if name == "total_revenue" else "avg"
    return _over_numbers(name, REVENUE[name], function, number, f"CASE {' '.join(cases)} END")


def _is_goal(goal: Goal, bound: Bound) -> str:
    """By event:goal an event stands in the groups of all its goals; each has its own worth."""
    return f"{of_goals.condition(goal, bound)} AND coalesce(goal = {bound(goal.name)}, true)"


def _over_numbers(name: str, words: str, function: str, number: int, value: str) -> Metric:
    """A part's name has a number: there may be several of a kind."""
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
