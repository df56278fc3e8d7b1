"""The answers as structs: declared once, for the code and for the OpenAPI document."""

from datetime import date
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from report.terms.buckets import Interval
from report.terms.selection import Selection

Day = date  # a struct below has a field of that name
Count = Annotated[int, Meta(ge=0)]
Instant = Annotated[str, Meta(description="RFC 3339, in UTC with microseconds.")]


class TopPath(Struct, frozen=True):
    path: str
    views: Count


class Stats(Struct, frozen=True, kw_only=True):
    """Of what was asked, that which was given is repeated."""

    site_id: str
    date: Day | None
    first: Day | UnsetType = msgspec.field(default=UNSET, name="from")
    last: Day | UnsetType = msgspec.field(default=UNSET, name="to")
    tz: str | UnsetType = UNSET
    event_type: str | UnsetType = UNSET
    path: str | UnsetType = UNSET
    referrer: str | UnsetType = UNSET
    referrer_host: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET
    limit: int | UnsetType = UNSET
    total_views: Count
    unique_users: Count
    top_paths: list[TopPath]


class Covered(Struct, frozen=True, kw_only=True):
    """What an answer covers. from and to: null is an open end; a filter: null is none."""

    site_id: str
    first: Day | None = msgspec.field(name="from")
    last: Day | None = msgspec.field(name="to")
    tz: str
    event_type: str | None
    path: str | None
    referrer: str | None
    referrer_host: str | None
    user_id: str | None


class Bucket(Struct, frozen=True):
    start: Annotated[str, Meta(description="RFC 3339, with the zone's offset at that time.")]
    views: Count
    users: Count


class Timeseries(Covered, frozen=True, kw_only=True):
    interval: Interval
    rows: list[Bucket]


class Value(Struct, frozen=True):
    value: str | None
    views: Count
    users: Count


class Breakdown(Covered, frozen=True, kw_only=True):
    """`total`: how many values there are, for paging."""

    by: str
    limit: int
    offset: int
    total: Count
    rows: list[Value]


class Live(Struct, frozen=True, kw_only=True):
    """Events after `from`, up to `to`."""

    site_id: str
    first: Instant = msgspec.field(name="from")
    last: Instant = msgspec.field(name="to")
    views: Count
    users: Count


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


class SiteLedger(Struct, frozen=True):
    site_id: str
    accepted: Count
    lake: Count
    spool: Count
    duplicates: Count
    erased: Count


class Ledger(Struct, frozen=True, kw_only=True):
    """accepted = lake + spool + duplicates + quarantined + erased; quarantined have no site."""

    accepted: Count
    lake: Count
    spool: Count
    duplicates: Count
    quarantined: Count
    erased: Count
    balanced: bool
    lag_s: Annotated[float, Meta(ge=0)]
    lag_bytes: Count
    sites: list[SiteLedger]


class Health(Struct, frozen=True):
    status: str


class Foreign(Struct, frozen=True):
    file: str
    reason: str


class Ready(Struct, frozen=True):
    """`foreign`: files below data/lake/events that are not parts, and are left out of answers."""

    status: str
    foreign: list[Foreign]


class Problem(Struct, frozen=True):
    title: str
    status: int
    detail: str
    code: str


def covered(asked: Selection) -> dict[str, Any]:
    """The fields of Covered."""
    values = {name: getattr(asked, name) for name in Covered.__struct_fields__ if name != "date"}
    values = {name: None if value is UNSET else value for name, value in values.items()}
    period = asked.period
    return values | {"first": period.first, "last": period.last, "event_type": asked.types or None}


def given(asked: Selection, names: set[str]) -> dict[str, Any]:
    """The fields that were given, by the names that they have in a struct."""
    fields = zip(asked.__struct_encode_fields__, asked.__struct_fields__, strict=True)
    return {field: getattr(asked, field) for name, field in fields if name in names}
