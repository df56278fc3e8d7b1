"""Of which events a question is: what all questions of the language have in common.

Whatever is wrong is told as Wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple, Self

from msgspec import UNSET

from ingest.sites.goals import Funnel, Goal, Segment
from report.terms.query import date_range as dates
from report.terms.query import goals as of_goals
from report.terms.query.asking import Asking, Pagination
from report.terms.query.bound import Bound
from report.terms.query.date_range import Range
from report.terms.query.dimensions import BOT, TIME, Dimension
from report.terms.query.filters import Filter, Leaf, Reader, leaves
from report.terms.query.wrong import Wrong
from report.terms.robots import Bots
from report.terms.selection import UTC, ZONES

ROWS = 10_000  # of an answer, unless a limit is given


class Limits(NamedTuple):
    """Of one question, see report.settings."""

    sites: int
    terms: int
    nesting: int
    pattern_characters: int
    rows: int
    periods: int


class Named(NamedTuple):
    """What the owner of the sites has said of them, and a question goes by."""

    zone: str = UTC
    goals: tuple[Goal, ...] = ()
    segments: tuple[Segment, ...] = ()
    funnels: tuple[Funnel, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    sites: tuple[str, ...]
    zone: str
    bots: Bots
    range: Range
    filters: tuple[Filter, ...]
    goals: tuple[Goal, ...]  # that it names
    bound: Bound

    @property
    def ranges(self) -> list[Range]:
        """The dates of which anything has to be known."""
        return [self.range]

    @property
    def conditions(self) -> tuple[Filter, ...]:
        """Every filter in it, whatever for."""
        return self.filters

    def since(self, first: date, last: date) -> Self:
        """The question about all time, when it is known from when to when there are events."""
        return replace(self, range=replace(self.range, first=first, last=last, is_open=False))


@dataclass(frozen=True, slots=True)
class Start:
    """A question that is read as far as what it selects."""

    sites: tuple[str, ...]
    zone: str
    range: Range
    goals: tuple[Goal, ...]  # that there are
    reader: Reader
    filters: tuple[Filter, ...]

    @property
    def named(self) -> tuple[Goal, ...]:
        """The goals that stood in filters so far."""
        return tuple({goal.name: goal for goal in self.reader.named}.values())


def begun(body: Asking, terms: Iterable[Any], limits: Limits, now: int, owner: Named) -> Start:
    """`terms`: what else is in it. Raises Wrong."""
    sites = tuple([body.site_id] if isinstance(body.site_id, str) else body.site_id)
    _bound_sites(sites, limits)
    if sum(map(_terms, (*terms, body.filters, body.goals))) > limits.terms:
        raise Wrong("$", f"a question has at most {limits.terms} terms: metrics, values and so on")
    zone = owner.zone if body.tz is UNSET else body.tz
    if zone not in ZONES:
        raise Wrong("$.tz", "tz is the name of an IANA time zone, as Europe/Berlin")
    given = {goal.name for goal in body.goals}
    of_goals.only_once(body.goals, "$.goals")
    every = (*body.goals, *(goal for goal in owner.goals if goal.name not in given))
    range = dates.read(body.date_range, zone, now, "$.date_range")
    reader = Reader(every, owner.segments, limits.nesting, limits.pattern_characters)
    filters = reader.all_of(body.filters or (), "$.filters")
    return Start(sites, zone, range, every, reader, filters)


def _bound_sites(sites: Sequence[str], limits: Limits) -> None:
    if len(sites) > limits.sites:
        raise Wrong("$.site_id", f"a question is about at most {limits.sites} sites")
    for n, site in enumerate(sites):
        if site in sites[:n]:
            raise Wrong(f"$.site_id[{n}]", f"{site!r} is named twice")


def _terms(given: Any) -> int:
    """How many there are within."""
    if isinstance(given, list | tuple):
        return sum(map(_terms, given))
    if isinstance(given, Goal):
        return 1 + len(given.props)
    return 0 if given is None else 1


def page(given: Pagination | None, limits: Limits, rows: int = ROWS) -> tuple[int, int]:
    """Limit and offset; so many `rows` unless a limit is given. Raises Wrong."""
    asked = given or Pagination()
    if asked.limit is UNSET:
        return min(rows, limits.rows), asked.offset
    if asked.limit > limits.rows:
        raise Wrong("$.pagination.limit", f"an answer has at most {limits.rows:,} rows")
    return asked.limit, asked.offset


def bots_unless_given(dimensions: Iterable[Dimension], filters: Iterable[Filter]) -> Bots:
    names = {each.name for each in dimensions}
    for each in filters:
        names |= {leaf.dimension.name for leaf in leaves(each) if isinstance(leaf, Leaf)}
    return "include" if BOT in names else "exclude"


def suiting(dimensions: Iterable[Dimension], range: Range) -> tuple[Dimension, ...]:
    """With the interval that suits these dates, where none is named."""
    interval = dates.suiting(range)
    return tuple(
        replace(each, interval=interval) if each.name == TIME else each for each in dimensions
    )
