"""The body of POST /query, as it may be written: Plausible's Stats API v2, and more."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ingest.sites.goals import Goals
from report.terms.query.date_range import WORDS
from report.terms.query.metrics import NAMES
from report.terms.robots import Bots
from report.terms.selection import Site

DateRange = Annotated[
    str | Annotated[list[str], Meta(min_length=2, max_length=2)],
    Meta(description=f"{WORDS}; dates are of tz."),
]
Direction = Literal["asc", "desc"]


class Comparison(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What went before, beside each row."""

    mode: Literal["previous_period", "year_over_year", "custom"]
    date_range: DateRange | UnsetType = UNSET  # of custom


class Include(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    time_labels: bool = False
    total_rows: bool = False
    comparisons: Comparison | None = None
    imports: bool = False  # what was imported is events like others


class Pagination(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question."""

    site_id: Site | Annotated[list[Site], Meta(min_length=1)]
    metrics: Annotated[list[str], Meta(min_length=1, description=", ".join(NAMES))]
    date_range: DateRange
    dimensions: list[str] | None = None
    filters: list[list[Any]] | None = None
    order_by: list[tuple[str, Direction]] | None = None
    include: Include | None = None
    pagination: Pagination | None = None
    tz: (
        Annotated[str, Meta(max_length=64, description="IANA time zone; else the site's, or UTC.")]
        | UnsetType
    ) = UNSET
    bots: Bots | None = None
    goals: Goals = ()  # beside those of the site, by whose names they go

    @property
    def sites(self) -> list[str]:
        return [self.site_id] if isinstance(self.site_id, str) else self.site_id
