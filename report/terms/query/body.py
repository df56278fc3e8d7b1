"""The body of POST /query, as it may be written: Plausible's Stats API v2, and more."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from report.terms.query.asking import Asking, DateRange, Pagination
from report.terms.query.metrics import NAMES

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


class Body(Asking, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question."""

    metrics: Annotated[list[str], Meta(min_length=1, description=", ".join(NAMES))]
    dimensions: list[str] | None = None
    order_by: list[tuple[str, Direction]] | None = None
    include: Include | None = None
    pagination: Pagination | None = None
