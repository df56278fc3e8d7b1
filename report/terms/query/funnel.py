"""The body of POST /funnel: steps that lead to one another.

    step   := name of a goal | filter, see report.terms.query.filters

An attempt of a visitor (or of a visit) begins with an event that fulfils the first step, and goes
on for window_s, that moment included. Every event is at most one step of it:

    sequential   the next step is the first later event that fulfils it; others may lie between
    strict       it is the very next event. Nothing else lies between: no event that the question
                 selects, of any type, also none that repeats a step. So its filters say what
                 is looked at, as ["is", "event:name", ["page_view"]]
    any          each step is done by the first event that fulfils it, in whatever order; an attempt
                 begins with any step, and an event that fulfils several does them all at once

Of the attempts the one counts that reaches the furthest; of those the earliest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, Literal, Self

from msgspec import UNSET, Meta, UnsetType

from ingest.sites.goals import STEPS_MAX, STEPS_MIN, WINDOW_S_MAX, Funnel, Name
from report.terms.query import goals as of_goals
from report.terms.query.asking import Asking, Pagination
from report.terms.query.bound import Bound
from report.terms.query.dimensions import GOAL, Dimension, dimension
from report.terms.query.filters import Filter, GoalLeaf, Reader
from report.terms.query.selected import (
    Limits,
    Named,
    Selected,
    Start,
    begun,
    bots_unless_given,
    page,
    suiting,
)
from report.terms.query.wrong import Wrong, unknown

WINDOW_S = 86_400
ROWS = 100

Unit = Literal["visitor", "visit"]
Order = Literal["sequential", "strict", "any"]
Step = str | list[Any]  # as it is given


class FunnelBody(Asking, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question about steps: either these, or those of a funnel of the site."""

    steps: Annotated[list[Step], Meta(min_length=STEPS_MIN, max_length=STEPS_MAX)] | None = None
    funnel: Name | None = None
    window_s: Annotated[int, Meta(ge=1, le=WINDOW_S_MAX)] | UnsetType = UNSET
    unit: Unit | UnsetType = UNSET
    order: Order | UnsetType = UNSET
    dimensions: Annotated[list[str], Meta(max_length=1)] | None = None
    pagination: Pagination | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelQuery(Selected):
    steps: tuple[Step, ...]
    fulfils: tuple[Filter, ...]  # each step
    window_s: int
    unit: Unit
    order: Order
    dimensions: tuple[Dimension, ...]  # none or one: of the event that an attempt begins with
    limit: int
    offset: int

    @property
    def conditions(self) -> tuple[Filter, ...]:
        return (*self.filters, *self.fulfils)

    def since(self, first: date, last: date) -> Self:
        range = replace(self.range, first=first, last=last, is_open=False)
        return replace(self, range=range, dimensions=suiting(self.dimensions, range))


def read(body: FunnelBody, limits: Limits, now: int, owner: Named) -> FunnelQuery:
    """Raises Wrong."""
    start = begun(body, (body.steps, body.dimensions), limits, now, owner)
    funnel = _named(body, owner)
    steps = tuple(funnel.steps if funnel else body.steps or ())
    fulfils = tuple(_fulfilled(start, steps, "$.funnel" if funnel else "$.steps[{n}]"))
    dimensions = suiting(_dimensions(body), start.range)
    limit, offset = page(body.pagination, limits, ROWS)
    return FunnelQuery(
        sites=start.sites,
        zone=start.zone,
        bots=body.bots or bots_unless_given(dimensions, (*start.filters, *fulfils)),
        range=start.range,
        filters=start.filters,
        goals=start.named,
        bound=Bound(),
        steps=steps,
        fulfils=fulfils,
        window_s=body.window_s or (funnel.window_s if funnel else WINDOW_S),
        unit=body.unit or (funnel.unit if funnel else "visitor"),
        order=body.order or (funnel.order if funnel else "sequential"),
        dimensions=dimensions,
        limit=limit,
        offset=offset,
    )


def _named(body: FunnelBody, owner: Named) -> Funnel | None:
    """The funnel of the site that is asked about."""
    if (body.funnel is None) == (body.steps is None):
        raise Wrong("$", "a question has either steps, or the name of a funnel of the site")
    if body.funnel is None:
        return None
    for funnel in owner.funnels:
        if funnel.name == body.funnel:
            return funnel
    there = [funnel.name for funnel in owner.funnels]
    raise unknown("$.funnel", "funnel", body.funnel, there, "" if there else "; give its steps")


def _fulfilled(start: Start, steps: Sequence[Step], at: str) -> list[Filter]:
    return [_step(start, step, at.format(n=n)) for n, step in enumerate(steps)]


def _step(start: Start, step: Step, at: str) -> Filter:
    reader: Reader = start.reader
    if not isinstance(step, str):
        return reader.filter(step, at)
    goal = of_goals.named(start.goals, step, at)
    reader.named.append(goal)
    return GoalLeaf((goal,), False)


def _dimensions(body: FunnelBody) -> list[Dimension]:
    found = [dimension(name, f"$.dimensions[{n}]") for n, name in enumerate(body.dimensions or ())]
    if any(each.name == GOAL for each in found):
        raise Wrong("$.dimensions[0]", "an event fulfils several goals; take another dimension")
    return found
