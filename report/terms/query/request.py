"""What is asked with a body of POST /query. Whatever is wrong with it is told as Wrong."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from msgspec import UNSET

from ingest.sites.goals import Goal
from report.terms.query import date_range as dates
from report.terms.query import metrics as of_metrics
from report.terms.query.body import Body, Comparison, Direction, Include
from report.terms.query.bound import Bound
from report.terms.query.date_range import Range
from report.terms.query.dimensions import GOAL, Dimension, dimension
from report.terms.query.filters import GoalLeaf, Leaf, is_about_goals, leaves
from report.terms.query.meaning import refuse
from report.terms.query.metric import Metric
from report.terms.query.selected import (
    Limits,
    Named,
    Selected,
    begun,
    bots_unless_given,
    page,
    suiting,
)
from report.terms.query.wrong import Wrong


@dataclass(frozen=True, slots=True)
class Order:
    """By the nth dimension or metric."""

    of: Literal["dimension", "metric"]
    number: int
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Selected):
    """What is asked. `bound` has the parameters of its metrics; by event:goal `goals` are all."""

    metrics: tuple[Metric, ...]
    dimensions: tuple[Dimension, ...]
    order: tuple[Order, ...]
    limit: int
    offset: int
    include: Include
    compared: Range | None

    @property
    def ranges(self) -> list[Range]:
        return [self.range, *([self.compared] if self.compared else [])]

    @property
    def time(self) -> Dimension | None:
        return next((each for each in self.dimensions if each.level == "time"), None)

    def of_visitors(self, share: str) -> "Query":
        """The question for the visitors that divide a share, see Metric."""
        kept = self.dimensions if share == "each_group" else ()
        filters = self.filters
        if share != "everyone":
            kept = tuple(each for each in kept if each.name != GOAL and not each.key)
            filters = tuple(each for each in filters if not is_about_goals(each))
        leaf_goals = (
            leaf.goals for each in filters for leaf in leaves(each) if isinstance(leaf, GoalLeaf)
        )
        goals = tuple(goal for some in leaf_goals for goal in some)
        visitors = (of_metrics.METRICS["visitors"],)
        return replace(self, metrics=visitors, dimensions=kept, filters=filters, goals=goals)

    def since(self, first: date, last: date) -> "Query":
        """The question about all time, when it is known from when to when there are events."""
        range = replace(self.range, first=first, last=last, is_open=False)
        return replace(self, range=range, dimensions=suiting(self.dimensions, range))


def read(body: Body, limits: Limits, now: int, owner: Named) -> Query:
    """The question that is asked at this instant, of sites with these goals. Raises Wrong."""
    terms = (body.metrics, body.dimensions, body.order_by)
    start = begun(body, terms, limits, now, owner)
    range, filters = start.range, start.filters
    dimensions = _dimensions(body, range)
    by_goal = any(each.name == GOAL for each in dimensions)
    named = start.goals if by_goal else start.named
    bound = Bound()
    has_goal = by_goal or any(not isinstance(leaf, Leaf) for f in filters for leaf in leaves(f))
    metrics = _metrics(body, dimensions, named, has_goal, bound)
    include = body.include or Include()
    if include.time_labels and not any(each.level == "time" for each in dimensions):
        raise Wrong("$.include.time_labels", "time_labels needs a time dimension")
    limit, offset = page(body.pagination, limits)
    return Query(
        sites=start.sites,
        zone=start.zone,
        bots=body.bots or bots_unless_given(dimensions, filters),
        range=range,
        metrics=metrics,
        dimensions=dimensions,
        filters=filters,
        goals=named,
        order=_order(body, dimensions),
        limit=limit,
        offset=offset,
        include=include,
        compared=_compared(include.comparisons, range, start.zone, now),
        bound=bound,
    )


def _dimensions(body: Body, range: Range) -> tuple[Dimension, ...]:
    names = body.dimensions or []
    found: list[Dimension] = []
    for n, name in enumerate(names):
        at = f"$.dimensions[{n}]"
        if name in names[:n]:
            raise Wrong(at, f"{name!r} is named twice")
        each = dimension(name, at)
        if each.level == "time" and any(other.level == "time" for other in found):
            raise Wrong(at, "there is one time dimension at most")
        found.append(each)
    return suiting(tuple(found), range)


def _metrics(
    body: Body,
    dimensions: tuple[Dimension, ...],
    named: tuple[Goal, ...],
    has_goal: bool,
    bound: Bound,
) -> tuple[Metric, ...]:
    found: list[Metric] = []
    for n, name in enumerate(body.metrics):
        at = f"$.metrics[{n}]"
        if name in body.metrics[:n]:
            raise Wrong(at, f"{name!r} is named twice")
        found.append(of_metrics.metric(name, n, at, named, bound))
        refuse(found[-1], dimensions, has_goal, at)
    return tuple(found)


def _order(body: Body, dimensions: tuple[Dimension, ...]) -> tuple[Order, ...]:
    """As asked; else by time, then by the first metric, most first."""
    names = body.dimensions or []
    found: list[Order] = []
    for n, (name, direction) in enumerate(body.order_by or ()):
        if name in body.metrics:
            found.append(Order("metric", body.metrics.index(name), direction))
        elif name in names:
            found.append(Order("dimension", names.index(name), direction))
        else:
            there = ", ".join([*body.metrics, *names])
            raise Wrong(
                f"$.order_by[{n}][0]", f"{name[:100]!r} is not asked for; there are {there}"
            )
    if not body.order_by:
        times = [n for n, each in enumerate(dimensions) if each.level == "time"]
        found = [*(Order("dimension", n, "asc") for n in times), Order("metric", 0, "desc")]
    return tuple(found)


def _compared(asked: Comparison | None, range: Range, zone: str, now: int) -> Range | None:
    if asked is None:
        return None
    at = "$.include.comparisons"
    if (asked.mode == "custom") != (asked.date_range is not UNSET):
        raise Wrong(at, "date_range is given with mode custom, and with no other")
    if asked.date_range is not UNSET:
        return dates.read(asked.date_range, zone, now, f"{at}.date_range")
    if range.is_open:
        raise Wrong(at, "nothing went before all; take dates")
    return range.before(now) if asked.mode == "previous_period" else range.a_year_earlier(now)
