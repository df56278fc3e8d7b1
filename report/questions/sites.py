"""GET /sites: the sites that have events, those with most of them first."""

from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET, Meta, Struct, UnsetType

from report.http.responses import Table
from report.questions.question import Instant, Question, Scope
from report.snapshot.relation import Relation
from report.terms.metrics import Count
from report.terms.selection import Offset
from report.terms.zone import instant, to_datetime


class Takes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    site_id: (
        Annotated[str, Meta(min_length=1, max_length=64, description="This site alone.")]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Rows, at most.")] = 1_000
    offset: Offset = 0


class Site(Struct, frozen=True):
    site_id: str
    events: Count
    first_event: Instant
    last_event: Instant


class Sites(Struct, frozen=True, kw_only=True):
    total: Count
    limit: int
    offset: int
    rows: list[Site]


def ask(relation: Relation, asked: Takes) -> Struct:
    return _page(relation.sites(), asked)


def ask_among(relation: Relation, asked: Takes, sites: frozenset[str]) -> Struct:
    counted = relation.sites()
    return _page(counted.filter(pc.is_in(counted["site_id"], pa.array(sorted(sites)))), asked)


def _page(counted: pa.Table, asked: Takes) -> Sites:
    """Ties by name."""
    counted = counted.filter(pc.greater(counted["events"], 0))
    if asked.site_id:
        counted = counted.filter(pc.equal(counted["site_id"], asked.site_id))
    order = [("events", "descending"), ("site_id", "ascending")]
    page = counted.sort_by(order).slice(asked.offset, asked.limit)
    names = ["site_id", "events", "first", "last"]
    rows = [_site(**row) for row in page.select(names).to_pylist()]
    return Sites(total=counted.num_rows, limit=asked.limit, offset=asked.offset, rows=rows)


def _site(site_id: str, events: int, first: int, last: int) -> Site:
    return Site(site_id, events, instant(to_datetime(first)), instant(to_datetime(last)))


QUESTION = Question(
    path="/sites",
    summary="The sites there are",
    takes=Takes,
    answers=Sites,
    table=Table("rows", Site),
    scope=lambda asked: Scope(asked.site_id or None),
    ask=ask,
    ask_among=ask_among,
)
