"""What is asked with a body of POST /query. Whatever is wrong with it is told as Wrong."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, NamedTuple

from msgspec import UNSET

from ingest.sites.goals import Goal, Segment
from report.terms.query import date_range as dates
from report.terms.query import goals as of_goals
from report.terms.query import metrics as of_metrics
from report.terms.query.body import Body, Comparison, Direction, Include, Pagination
from report.terms.query.bound import Bound
from report.terms.query.date_range import Range
from report.terms.query.dimensions import BOT, GOAL, TIME, Dimension, dimension
from report.terms.query.filters import Filter, GoalLeaf, Leaf, Reader, is_about_goals, leaves
from report.terms.query.meaning import refuse
from report.terms.query.metric import Metric
from report.terms.query.wrong import Wrong
from report.terms.robots import Bots
from report.terms.selection import UTC, ZONES


class Limits(NamedTuple):
    """Of one question, see report.settings."""

    sites: int
    terms: int
    nesting: int
    pattern_characters: int
    rows: int


class Named(NamedTuple):
    """What the owner of the sites has said of them, and a question goes by."""

    zone: str = UTC
    goals: tuple[Goal, ...] = ()
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """By the nth dimension or metric."""

    of: Literal["dimension", "metric"]
    number: int
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked. `bound` has the parameters of its metrics."""

    sites: tuple[str, ...]
    zone: str
    bots: Bots
    range: Range
    metrics: tuple[Metric, ...]
    dimensions: tuple[Dimension, ...]
    filters: tuple[Filter, ...]
    goals: tuple[Goal, ...]  # that it names; by event:goal all that there are
    order: tuple[Order, ...]
    limit: int
    offset: int
    include: Include
    compared: Range | None
    bound: Bound

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
        return replace(self, range=range, dimensions=_suiting(self.dimensions, range))


def read(body: Body, limits: Limits, now: int, sites: Named) -> Query:
    """The question that is asked at this instant. Raises Wrong."""
    _bound_terms(body, limits)
    zone = sites.zone if body.tz is UNSET else body.tz
    if zone not in ZONES:
        raise Wrong("$.tz", "tz is the name of an IANA time zone, as Europe/Berlin")
    given = {goal.name for goal in body.goals}
    of_goals.only_once(body.goals, "$.goals")
    every = (*body.goals, *(goal for goal in sites.goals if goal.name not in given))
    range = dates.read(body.date_range, zone, now, "$.date_range")
    reader = Reader(every, sites.segments, limits.nesting, limits.pattern_characters)
    filters = reader.all_of(body.filters or (), "$.filters")
    dimensions = _dimensions(body, range)
    by_goal = any(each.name == GOAL for each in dimensions)
    named = every if by_goal else tuple({goal.name: goal for goal in reader.named}.values())
    bound = Bound()
    has_goal = by_goal or any(not isinstance(leaf, Leaf) for f in filters for leaf in leaves(f))
    metrics = _metrics(body, dimensions, named, has_goal, bound)
    include = body.include or Include()
    if include.time_labels and not any(each.level == "time" for each in dimensions):
        raise Wrong("$.include.time_labels", "time_labels needs a time dimension")
    page = body.pagination or Pagination()
    if page.limit is not UNSET and page.limit > limits.rows:
        raise Wrong("$.pagination.limit", f"an answer has at most {limits.rows:,} rows")
    return Query(
        sites=tuple(body.sites),
        zone=zone,
        bots=body.bots or _bots_unless_given(dimensions, filters),
        range=range,
        metrics=metrics,
        dimensions=dimensions,
        filters=filters,
        goals=named,
        order=_order(body, dimensions),
        limit=min(10_000, limits.rows) if page.limit is UNSET else page.limit,
        offset=page.offset,
        include=include,
        compared=_compared(include.comparisons, range, zone, now),
        bound=bound,
    )


def _bound_terms(body: Body, limits: Limits) -> None:
    sites = body.sites
    if len(sites) > limits.sites:
        raise Wrong("$.site_id", f"a question is about at most {limits.sites} sites")
    for n, site in enumerate(sites):
        if site in sites[:n]:
            raise Wrong(f"$.site_id[{n}]", f"{site!r} is named twice")
    lists = (body.metrics, body.dimensions, body.filters, body.order_by, body.goals)
    if sum(map(_terms, lists)) > limits.terms:
        raise Wrong("$", f"a question has at most {limits.terms} terms: metrics, values and so on")


def _terms(given: Any) -> int:
    """How many there are within."""
    if isinstance(given, list | tuple):
        return sum(map(_terms, given))
    if isinstance(given, Goal):
        return 1 + len(given.props)
    return 0 if given is None else 1


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
    return _suiting(tuple(found), range)


def _suiting(dimensions: tuple[Dimension, ...], range: Range) -> tuple[Dimension, ...]:
    """With the interval that suits these dates, where none is named."""
    interval = dates.suiting(range)
    return tuple(
        replace(each, interval=interval) if each.name == TIME else each for each in dimensions
    )


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


def _bots_unless_given(dimensions: tuple[Dimension, ...], filters: tuple[Filter, ...]) -> Bots:
    names = {each.name for each in dimensions}
    for each in filters:
        names |= {leaf.dimension.name for leaf in leaves(each) if isinstance(leaf, Leaf)}
    return "include" if BOT in names else "exclude"


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
