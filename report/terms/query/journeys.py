"""The body of POST /journeys: the ways that visits take from a page, or to one.

    journey   what a visit saw, by time, repeats in a row taken as one: the pages of its page views
              (event:page), or its events of every type (event:name)
    from      it begins with the visit's first event that is this, and goes on
    to        it ends with the visit's first event that is this, and is what led there
    neither   it begins with the visit

A page is one as goals have it ("/blog/**"), a filter any event that passes it: one that is not
itself told, as an order among pages, is where the journey begins or ends without being in it. A
visit has one journey; only events that the question selects are in it.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from ingest.sites.goals import Goal, Pattern
from report.terms.query.asking import Asking, Pagination
from report.terms.query.bound import Bound
from report.terms.query.dimensions import PAGE, Dimension, dimension
from report.terms.query.filters import Filter, GoalLeaf
from report.terms.query.selected import (
    Limits,
    Named,
    Selected,
    Start,
    begun,
    bots_unless_given,
    page,
)
from report.terms.query.wrong import Wrong

STEPS_MIN, STEPS_MAX = 2, 10
STEPS = 5
ROWS = 100
TOLD_BY = (PAGE, "event:name")

End = Pattern | list[Any]


class JourneysBody(Asking, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question about ways through a site."""

    first: End | UnsetType = field(default=UNSET, name="from")
    last: End | UnsetType = field(default=UNSET, name="to")
    steps: Annotated[int, Meta(ge=STEPS_MIN, le=STEPS_MAX)] = STEPS  # at most
    dimensions: Annotated[list[str], Meta(max_length=1)] | None = None
    pagination: Pagination | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneysQuery(Selected):
    end: Filter | None  # which event it begins with, or ends with
    is_to: bool  # it ends with it
    steps: int
    told_by: Dimension
    limit: int
    offset: int

    @property
    def conditions(self) -> tuple[Filter, ...]:
        return (*self.filters, *([self.end] if self.end else []))


def read(body: JourneysBody, limits: Limits, now: int, owner: Named) -> JourneysQuery:
    """Raises Wrong."""
    given = [None if each is UNSET else each for each in (body.first, body.last)]
    start = begun(body, (*given, body.dimensions), limits, now, owner)
    end = _end(body, start)
    limit, offset = page(body.pagination, limits, ROWS)
    return JourneysQuery(
        sites=start.sites,
        zone=start.zone,
        bots=body.bots or bots_unless_given((), start.filters),
        range=start.range,
        filters=start.filters,
        goals=start.named,
        bound=Bound(),
        end=end,
        is_to=body.last is not UNSET,
        steps=body.steps,
        told_by=_told_by(body),
        limit=limit,
        offset=offset,
    )


def _end(body: JourneysBody, start: Start) -> Filter | None:
    if body.first is not UNSET and body.last is not UNSET:
        raise Wrong("$.to", "journeys are from a page or to one; take one of from and to")
    for given, at in ((body.first, "$.from"), (body.last, "$.to")):
        if isinstance(given, str):
            return GoalLeaf((Goal(name=given[:120], page=given),), False)
        if given is not UNSET:
            return start.reader.filter(given, at)
    return None


def _told_by(body: JourneysBody) -> Dimension:
    [name] = body.dimensions or [PAGE]
    if name not in TOLD_BY:
        what = f"journeys are of {' or '.join(TOLD_BY)}, and not of {name[:100]!r}"
        raise Wrong("$.dimensions[0]", what)
    return dimension(name, "$.dimensions[0]")
