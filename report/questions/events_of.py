"""The events that a question of the language is about, and all of whose dates they are."""

from collections.abc import Sequence
from typing import Any, TypeVar

from msgspec import UNSET

from report.snapshot.definition import Definition
from report.snapshot.relation import Relation
from report.snapshot.visits import events_with_visits
from report.terms.query.date_range import Range
from report.terms.query.selected import Selected
from report.terms.selection import TYPE, Selection
from report.terms.zone import local_time

Asked = TypeVar("Asked", bound=Selected)

ENDS = """SELECT epoch_us(min("timestamp")), epoch_us(max("timestamp")) FROM events"""


def events_of(
    relation: Relation, asked: Selected, dates: Range, site: str, with_visits: bool
) -> Definition:
    selection = _selection(asked, dates, site)
    if with_visits:
        return events_with_visits(relation.cursor, relation.snapshot, selection)
    return relation.events(selection)


def resolved(asked: Asked, relations: Sequence[Relation], now: int) -> Asked:
    """With dates, where it is about all time."""
    if not asked.range.is_open:
        return asked
    instants = [now]
    for site, relation in zip(asked.sites, relations, strict=True):
        [ends] = relation.ask(_selection(asked, asked.range, site), ENDS)
        instants += [each for each in ends if each is not None]
    days = [local_time(asked.zone, each).date() for each in (min(instants), max(instants))]
    return asked.since(*days)


def _selection(asked: Selected, dates: Range, site: str) -> Selection:
    """Every event of the site on the UTC dates that have a part of these."""
    ends = dates.utc_dates
    every_type: dict[str, Any] = {TYPE: ""}
    return Selection(
        site_id=site,
        first=ends.first or UNSET,
        last=ends.last or UNSET,
        bots=asked.bots,
        **every_type,
    )
