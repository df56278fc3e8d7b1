"""What every question of the language may say of the events that it is about."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from ingest.sites.goals import Goals
from report.terms.query.date_range import WORDS
from report.terms.robots import Bots
from report.terms.selection import Site

DateRange = Annotated[
    str | Annotated[list[str], Meta(min_length=2, max_length=2)],
    Meta(description=f"{WORDS}; dates are of tz."),
]


class Asking(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    site_id: Site | Annotated[list[Site], Meta(min_length=1)]
    date_range: DateRange
    filters: list[list[Any]] | None = None
    tz: (
        Annotated[str, Meta(max_length=64, description="IANA time zone; else the site's, or UTC.")]
        | UnsetType
    ) = UNSET
    bots: Bots | None = None
    goals: Goals = ()  # beside those of the site, by whose names they go


class Pagination(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
