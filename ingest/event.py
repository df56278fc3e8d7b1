"""The event: what a client may send, and the spool line that it becomes.

    line := "{" fields of Event, absent ones left out, "," "\\"received_at\\":" timestamp "}" "\\n"

A line is the event serialised anew, never the client's bytes, so it is valid UTF-8 JSON by
construction. Timestamps are RFC 3339 in UTC ("Z"), with no fraction or six digits of it.
The compactor and the report read lines back with `decode_line`.

A column is declared once, as a field of Event: its type and limits, and by `Kept` what it is to
the lake. COLUMNS has them all; the check of the spool, the Parquet schema, its encodings, exports
and the column lists of SQL follow from it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from ingest import timestamp
from ingest.refusal import Refusal, Refused

EVENT_BYTES_MAX = 64 * 1024
BATCH_BYTES_MAX = 10 * 1024 * 1024
AHEAD_MAX = timedelta(hours=24)
ENGAGED_MS_MAX = 24 * 3_600_000
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
DETAIL_CHARS_MAX = 200  # of what a refusal quotes: else a batch could ask for megabytes of it
BACKSLASH, DEL = 0x5C, 0x7F  # as numbers they are looked for with memchr, four times faster

assert EVENT_BYTES_MAX < BATCH_BYTES_MAX

Key = Annotated[str, Meta(max_length=64)]
Identify = Callable[[str], str]  # site_id → user_id
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
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$", max_length=2), Kept(Role.CODE, since=2)]
Language = Annotated[str, Meta(pattern="^[a-z]{2,3}$", max_length=3), Kept(Role.CODE, since=2)]


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


class ReceivedEvent(Event, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
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
            meta.ge,
            meta.le,
        )


COLUMNS = tuple(sorted(_columns(), key=lambda column: column.since))  # new ones come last


class Receipt:
    """The moment of receipt, shared by all events that arrive in one turn of the event loop, and
    how far from it an event's own time may be. Without `past_max` it may be any since 1970."""

    __slots__ = ("at", "earliest", "latest", "tail", "time", "too_early")

    def __init__(self, at: datetime, past_max: timedelta | None = None) -> None:
        self.at = at
        self.time = timestamp.write(at)
        self.latest = at + AHEAD_MAX
        self.earliest, self.too_early = EARLIEST, "before 1970"
        if past_max is not None and at - EARLIEST > past_max:
            self.earliest = at - past_max
            self.too_early = f"more than {past_max / timedelta(days=1):,.10g} days in the past"
        self.tail = f',"received_at":"{self.time}"}}\n'.encode()

    def of_history(self) -> Self:
        """The same moment for who may bring the past with them."""
        return type(self)(self.at)


_encoder = msgspec.json.Encoder()
_decode = msgspec.json.Decoder(ReceivedEvent).decode
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TEXT_FIELDS = tuple(c.name for c in COLUMNS if c.is_text and not (c.among or c.pattern))
_CLOSED = {f"`$.{column.name}`": column for column in COLUMNS if column.among or column.pattern}
_EXAMPLE = {"country": "two capital letters, as DE", "language": "two or three letters, as de"}

decode_line = msgspec.json.Decoder(StoredEvent).decode


def to_line(body: bytes, receipt: Receipt, identify: Identify | None = None) -> bytes:
    """The spool line for one event, given its JSON. Raises Refused.

    An event without user_id gets the one that `identify` has for its site_id.
    """
    event = decode(body)
    complete(event, receipt, identify)
    return _encoder.encode(event)[:-1] + receipt.tail


def decode(body: bytes) -> ReceivedEvent:
    """Raises Refused."""
    if len(body) > EVENT_BYTES_MAX:
        raise Refused(Refusal.TOO_LARGE, f"An event may have {EVENT_BYTES_MAX:,} bytes.")
    try:
        event = _decode(body)
    except msgspec.ValidationError as error:
        raise Refused(Refusal.INVALID_EVENT, _explain(error)) from None
    except (ValueError, RecursionError) as error:  # bad JSON, bad UTF-8, nested without end
        raise Refused(Refusal.MALFORMED_JSON, f"{error}.") from None
    if may_hold_control_characters(body):
        _refuse_control_characters(event)
    return event


def decode_all(bodies: list[bytes]) -> list[ReceivedEvent]:
    """Half the time of one by one, for bodies that hold no control characters. Raises ValueError,
    RecursionError for any that `decode` would refuse, without saying which."""
    if max(map(len, bodies), default=0) > EVENT_BYTES_MAX:
        raise ValueError("too large")
    return list(map(_decode, bodies))


def complete(event: ReceivedEvent, receipt: Receipt, identify: Identify | None) -> None:
    """Give it its time in UTC, and the user_id that it lacks. Raises Refused."""
    own = event.timestamp
    event.timestamp = receipt.time if own is None else _in_utc(own, receipt)
    event.received_at = event.time_zone = None
    if identify is not None and event.user_id is None:
        event.user_id = identify(event.site_id)


def encode_all(events: Iterable[Event], receipt: Receipt) -> bytes:
    """The spool lines of events that are complete."""
    # JSON escapes a newline within a string, so these two bytes are nowhere but at a line's end
    return _encoder.encode_lines(events).replace(b"}\n", receipt.tail)


def may_hold_control_characters(body: bytes) -> bool:
    """Inside a JSON string a control character is either escaped, or it is DEL: without these
    two bytes there can be none, and nearly no event has them."""
    return BACKSLASH in body or DEL in body


def _explain(error: msgspec.ValidationError) -> str:
    text = str(error)
    if "unknown field" in text:
        return f"{_brief(text)}. Put what is your own under `props`."
    column = _CLOSED.get(text.rpartition(" - at ")[2])
    if column is None:
        return f"{_brief(text)}."
    expected = ", ".join(sorted(column.among)) or _EXAMPLE[column.name]
    return f"{_brief(text)}: expected {expected}."


def _brief(text: str) -> str:
    if len(text) <= DETAIL_CHARS_MAX:
        return text
    return text[: DETAIL_CHARS_MAX // 2] + " … " + text[-DETAIL_CHARS_MAX // 2 :]


def _in_utc(text: str, receipt: Receipt) -> str:
    try:
        at, as_written = timestamp.read(text)
    except ValueError:
        detail = "Expected a timestamp as RFC 3339 has it - at `$.timestamp`."
        raise Refused(Refusal.INVALID_EVENT, detail) from None
    if at > receipt.latest:
        raise _out_of_range("more than 24 hours ahead of the server")
    if at < receipt.earliest:
        raise _out_of_range(receipt.too_early)
    return text if as_written else timestamp.write(at)


def _out_of_range(where: str) -> Refused:
    detail = f"The timestamp is {where} - at `$.timestamp`."
    return Refused(Refusal.TIMESTAMP_OUT_OF_RANGE, detail)


def _refuse_control_characters(event: Event) -> None:
    for name in _TEXT_FIELDS:
        _refuse_control_character(getattr(event, name), f"$.{name}")
    for key in event.props or ():
        _refuse_control_character(key, "key` in `$.props")


def _refuse_control_character(text: str | None, path: str) -> None:
    if text and _CONTROL.search(text):
        raise Refused(
            Refusal.INVALID_EVENT, f"Expected `str` without control characters - at `{path}`."
        )
