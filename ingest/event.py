"""The event: what a client may send, and the spool line that it becomes.

    line := "{" fields of Event, absent ones left out, "," "\\"received_at\\":" timestamp "}" "\\n"

A line is the event serialised anew, never the client's bytes, so it is valid UTF-8 JSON by
construction. Timestamps are RFC 3339 in UTC ("Z"), with no fraction or six digits of it.
The compactor and the report read lines back with `decode_line`.

A column is declared once, as a field of Event: its type and limits, and by `Kept` what it is to
the lake. COLUMNS has them all; the check of the spool, the Parquet schema, its encodings, exports
and the column lists of SQL follow from it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

EVENT_BYTES_MAX = 64 * 1024
BATCH_BYTES_MAX = 10 * 1024 * 1024
ENGAGED_MS_MAX = 24 * 3_600_000

assert EVENT_BYTES_MAX < BATCH_BYTES_MAX

Key = Annotated[str, Meta(max_length=64)]
Value = Annotated[str, Meta(max_length=1_024)] | int | float | bool | None


class Role(StrEnum):
    """What a column holds: it decides how it is checked, encoded and looked for."""

    CODE = "code"  # text of few values: codes all the way to the file, and a file is pruned by it
    TEXT = "text"
    RANDOM = "random"  # text of which hardly two are alike: compression finds little in it
    NUMBER = "number"  # whole, 64 bits
    INSTANT = "instant"  # to the microsecond; a file is pruned by it
    OBJECT = "object"  # JSON, kept as its text


@dataclass(frozen=True, slots=True)
class Kept:
    """How the lake keeps a field, and the first format of the lake that has it."""

    role: Role
    since: int = 1


Campaign = Annotated[str, Meta(min_length=1, max_length=255), Kept(Role.TEXT, since=2)]
Name = Annotated[str, Meta(min_length=1, max_length=32), Kept(Role.CODE, since=2)]
Click = Literal["gclid", "gbraid", "wbraid", "msclkid", "fbclid", "ttclid", "twclid", "li_fat_id"]
Device = Literal["desktop", "mobile", "tablet", "tv", "console", "other"]
Bot = Literal["search", "ai", "social", "seo", "monitor", "tool", "headless", "feed", "other"]
Country = Annotated[
    str,
    Meta(pattern="^[A-Z]{2}$", max_length=2, description="two capital letters, as DE"),
    Kept(Role.CODE, since=2),
]
Language = Annotated[
    str,
    Meta(pattern="^[a-z]{2,3}$", max_length=3, description="two or three letters, as de"),
    Kept(Role.CODE, since=2),
]


class Event(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One event as a client sends it. Fields are only ever added, always with a default and the
    next format's number; never renamed or retyped: segments written years ago still load, and
    parts written years ago are read beside new ones (tests/golden)."""

    site_id: Annotated[str, Meta(min_length=1, max_length=64), Kept(Role.CODE)]
    event_type: Annotated[str, Meta(min_length=1, max_length=64), Kept(Role.CODE)]
    path: Annotated[str, Meta(min_length=1, max_length=2_048), Kept(Role.TEXT)] | None = None
    user_id: Annotated[str, Meta(min_length=1, max_length=128), Kept(Role.RANDOM)] | None = None
    timestamp: Annotated[datetime, Meta(tz=True), Kept(Role.INSTANT)] | None = None
    event_id: Annotated[str, Meta(min_length=1, max_length=64), Kept(Role.RANDOM)] | None = None
    referrer: Annotated[str, Meta(max_length=2_048), Kept(Role.TEXT)] | None = None
    props: Annotated[dict[Key, Value], Meta(max_length=32), Kept(Role.OBJECT)] | None = None
    hostname: Annotated[str, Meta(min_length=1, max_length=253), Kept(Role.CODE, 2)] | None = None
    utm_source: Campaign | None = None
    utm_medium: Campaign | None = None
    utm_campaign: Campaign | None = None
    utm_content: Campaign | None = None
    utm_term: Campaign | None = None
    click_id: Annotated[Click, Kept(Role.CODE, since=2)] | None = None  # the parameter's name
    browser: Name | None = None  # of a robot: its name, where it is a known one
    os: Name | None = None
    device: Annotated[Device, Kept(Role.CODE, since=2)] | None = None
    bot: Annotated[Bot, Kept(Role.CODE, since=2)] | None = None  # its class; None: none known
    country: Country | None = None  # ISO 3166-1
    language: Language | None = None  # ISO 639
    engaged_ms: Annotated[int, Meta(ge=0, le=ENGAGED_MS_MAX), Kept(Role.NUMBER, 2)] | None = None
    scroll: Annotated[int, Meta(ge=0, le=100), Kept(Role.NUMBER, since=2)] | None = None


class ReceivedEvent(Event, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One event as it comes in, with what is used at receipt and kept nowhere.

    `received_at` may be there, because an export has it, and is forgotten: ours is what counts.
    """

    timestamp: Annotated[str, Meta(max_length=64)] | None = None  # type: ignore[assignment]
    received_at: Annotated[str, Meta(max_length=64)] | None = None
    time_zone: Annotated[str, Meta(max_length=64)] | None = None  # of the visitor, for the country


class StoredEvent(Event, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One event as a spool line holds it: it always has a time, and the time of receipt."""

    timestamp: Annotated[datetime, Meta(tz=True), Kept(Role.INSTANT)]
    received_at: Annotated[datetime, Meta(tz=True), Kept(Role.INSTANT)]


@dataclass(frozen=True, slots=True)
class Column:
    """A field of StoredEvent, as those need it who keep it."""

    name: str
    role: Role
    since: int  # the first format of the lake that has it
    required: bool  # no row is without it
    shortest: int = 0  # of a text, in characters
    longest: int = 0
    among: frozenset[str] = frozenset()  # if not empty: the texts that there can be
    pattern: str | None = None  # of a text
    words: str = ""  # what the pattern means, for people
    least: float | None = None  # of a number
    most: float | None = None

    @property
    def is_text(self) -> bool:
        return self.role in (Role.CODE, Role.TEXT, Role.RANDOM)


def _columns() -> Iterator[Column]:
    hints = get_type_hints(StoredEvent, include_extras=True)
    for name in dict.fromkeys((*Event.__struct_fields__, *StoredEvent.__struct_fields__)):
        required = get_origin(hints[name]) is Annotated  # and not `Annotated[…] | None`
        kind, *said = get_args(hints[name] if required else get_args(hints[name])[0])
        *metas, kept = said
        meta = metas[0] if metas else Meta()
        among = get_args(kind) if get_origin(kind) is Literal else ()
        lengths = [*map(len, among)] or [meta.min_length or 0, meta.max_length or 0]
        yield Column(
            name,
            kept.role,
            kept.since,
            required,
            min(lengths),
            max(lengths),
            frozenset(among),
            meta.pattern,
            meta.description or "",
            meta.ge,
            meta.le,
        )


COLUMNS = tuple(sorted(_columns(), key=lambda column: column.since))  # new ones come last

decode_line = msgspec.json.Decoder(StoredEvent).decode
