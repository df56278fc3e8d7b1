"""What may be asked: one struct per path decodes its query string, and documents it too."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal, TypeVar
from urllib.parse import parse_qsl
from zoneinfo import available_timezones

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from report.problem import Code, Problem
from report.terms.buckets import Interval
from report.terms.period import EARLIEST, LATEST, Period

ZONES = frozenset(available_timezones())
PAGE_VIEW = "page_view"
PARAMETERS_MAX = 32

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Site = Annotated[str, Meta(min_length=1, max_length=64, description="Whose events.")]
Day = Annotated[date, Meta(description=f"From {EARLIEST} to {LATEST}.")]
Limit = Annotated[int, Meta(ge=1, le=1_000, description="Rows, at most.")]
Offset = Annotated[int, Meta(ge=0, le=1_000_000, description="Rows to skip.")]
Zone = Annotated[
    str,
    Meta(max_length=64, description="IANA time zone, whose dates and hours are meant."),
]
Type = Annotated[str, Meta(max_length=64, description="Events of this type; empty: of every type.")]


def _exactly(max_length: int) -> Meta:
    return Meta(max_length=max_length, description="Exactly this; empty: events without one.")


class Selection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events: of one site, on some dates of a zone, of one type, with some values."""

    site_id: Site
    date: Annotated[Day, Meta(description="This date alone.")] | UnsetType = UNSET
    first: Annotated[Day, Meta(description="From this date on.")] | UnsetType = msgspec.field(
        default=UNSET, name="from"
    )
    last: Annotated[Day, Meta(description="Up to this date, included.")] | UnsetType = (
        msgspec.field(default=UNSET, name="to")
    )
    tz: Zone = "UTC"
    event_type: Type | UnsetType = PAGE_VIEW
    path: Annotated[str, _exactly(2_048)] | UnsetType = UNSET
    referrer: Annotated[str, _exactly(2_048)] | UnsetType = UNSET
    referrer_host: Annotated[str, _exactly(2_048)] | UnsetType = UNSET
    user_id: Annotated[str, _exactly(128)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.date and (self.first or self.last):
            raise ValueError("give either date, or from and to")
        if self.first and self.last and self.first > self.last:
            raise ValueError("from is after to")
        for day in (self.date, self.first, self.last):
            if day and not EARLIEST <= day <= LATEST:
                raise ValueError(f"dates are from {EARLIEST} to {LATEST}")
        if self.tz not in ZONES:
            raise ValueError("tz is the name of an IANA time zone, as in Europe/Berlin")

    @property
    def period(self) -> Period:
        first, last = self.date or self.first, self.date or self.last
        return Period(first or None, last or None, self.tz)

    @property
    def types(self) -> str:
        """The type of event that is asked for; empty: every type."""
        return self.event_type or ""


class Stats(Selection, frozen=True, kw_only=True):
    limit: Limit = 10


class Timeseries(Selection, frozen=True, kw_only=True):
    interval: Interval = "day"


class Breakdown(Selection, frozen=True, kw_only=True):
    by: Annotated[
        str,
        Meta(
            max_length=70,
            pattern=r"^(path|referrer|referrer_host|event_type|user_id|props\..{0,64})$",
            description="What to count by; props.KEY is a value of props.",
        ),
    ]
    event_type: (
        Annotated[
            str, Meta(max_length=64, description="As elsewhere; with by=event_type, every type.")
        ]
        | UnsetType
    ) = UNSET
    limit: Limit = 10
    offset: Offset = 0

    @property
    def types(self) -> str:
        if self.event_type is UNSET:
            return "" if self.by == "event_type" else PAGE_VIEW
        return self.event_type


class Live(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    site_id: Site


class Sites(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    site_id: (
        Annotated[str, Meta(min_length=1, max_length=64, description="This site alone.")]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Rows, at most.")] = 1_000
    offset: Offset = 0


class Export(Selection, frozen=True, kw_only=True):
    event_type: Type = ""
    format: Literal["ndjson", "csv", "parquet"] = "ndjson"


class Nothing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A path without parameters."""


Asked = TypeVar("Asked", bound=Struct)


def decode(query_string: bytes, kind: type[Asked]) -> Asked:
    """Raises Problem. A misspelt filter must not silently widen the answer, so it is refused."""
    try:
        pairs = parse_qsl(
            query_string.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=PARAMETERS_MAX,
        )
        return msgspec.convert(_single(pairs), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(Code.BAD_PARAMETER, _explain(error)) from None
    except ValueError:
        raise Problem(Code.BAD_PARAMETER, f"At most {PARAMETERS_MAX} parameters.") from None


def _single(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    given = dict(pairs)
    if len(given) < len(pairs):
        raise Problem(Code.BAD_PARAMETER, "A parameter is given more than once.")
    for name, value in pairs:
        if _CONTROL.search(value):
            raise Problem(Code.BAD_PARAMETER, f"{name[:64]!r} has a control character.")
    return given


def _explain(error: msgspec.ValidationError) -> str:
    """`Expected `int` >= 1 - at `$.limit`` becomes something to read for who wrote the URL."""
    text = str(error).replace("Object contains unknown field", "There is no parameter")
    text = text.replace("Object missing required field", "Missing parameter")
    return text.replace("`$.", "`").removesuffix(" - at `$`") + "."
