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
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from ingest.refusal import Refusal, Refused

EVENT_BYTES_MAX = 64 * 1024
BATCH_BYTES_MAX = 10 * 1024 * 1024
BATCH_EVENTS_MAX = 10_000
BATCH_ERRORS_MAX = 100
AHEAD_MAX = timedelta(hours=24)
ENGAGED_MS_MAX = 24 * 3_600_000
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
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
    """One event as it comes in, with what is used at receipt and kept nowhere."""

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
    """The moment of receipt, shared by all events that arrive in one turn of the event loop."""

    __slots__ = ("at", "latest", "tail")

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.latest = at + AHEAD_MAX
        self.tail = b',"received_at":' + _encode(at) + b"}\n"


class Batch(msgspec.Struct):
    """What became of the events of one request: the lines to append, and what was refused."""

    lines: bytes = b""
    accepted: int = 0
    rejected: int = 0
    refused: dict[Refusal, int] = {}  # how many, by reason
    errors: list[dict[str, Any]] = []  # the first BATCH_ERRORS_MAX


_encoder = msgspec.json.Encoder()
_encode = _encoder.encode
_decode = msgspec.json.Decoder(ReceivedEvent).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TEXT_FIELDS = tuple(c.name for c in COLUMNS if c.is_text and not (c.among or c.pattern))
_CLOSED = {f"`$.{column.name}`": column for column in COLUMNS if column.among or column.pattern}
_EXAMPLE = {"country": "two capital letters, as DE", "language": "two or three letters, as de"}

decode_line = msgspec.json.Decoder(StoredEvent).decode


def to_line(body: bytes, receipt: Receipt, identify: Identify | None = None) -> bytes:
    """The spool line for one event, given its JSON. Raises Refused.

    An event without user_id gets the one that `identify` has for its site_id.
    """
    if len(body) > EVENT_BYTES_MAX:
        raise Refused(Refusal.TOO_LARGE, f"An event may have {EVENT_BYTES_MAX:,} bytes.")
    try:
        event = _decode(body)
    except msgspec.ValidationError as error:
        raise Refused(Refusal.INVALID_EVENT, _explain(error)) from None
    except (ValueError, RecursionError) as error:  # bad JSON, bad UTF-8, nested without end
        raise Refused(Refusal.MALFORMED_JSON, f"{error}.") from None
    if _may_hold_control_characters(body):
        _refuse_control_characters(event)
    _complete(event, receipt, identify)
    return _encode(event)[:-1] + receipt.tail


def to_lines(body: bytes, receipt: Receipt, identify: Identify | None = None) -> Batch:
    """The spool lines for a batch: NDJSON, or a JSON array. Raises Refused if it is neither.

    An event's index counts from 0; blank lines of NDJSON are not counted.
    """
    items = _split(body)
    if len(items) > BATCH_EVENTS_MAX:
        raise Refused(Refusal.TOO_LARGE, f"A batch may have {BATCH_EVENTS_MAX:,} events.")
    if not _may_hold_control_characters(body):
        with suppress(ValueError, RecursionError, Refused):  # then one by one, to say which
            return Batch(_to_lines_at_once(items, receipt, identify), len(items))
    return _to_lines_one_by_one(items, receipt, identify)


def _to_lines_at_once(items: list[bytes], receipt: Receipt, identify: Identify | None) -> bytes:
    """Half the time of one by one."""
    if max(map(len, items), default=0) > EVENT_BYTES_MAX:
        raise ValueError
    events = list(map(_decode, items))
    for event in events:
        _complete(event, receipt, identify)
    # JSON escapes a newline within a string, so these two bytes are nowhere but at a line's end
    return _encoder.encode_lines(events).replace(b"}\n", receipt.tail)


def _to_lines_one_by_one(items: list[bytes], receipt: Receipt, identify: Identify | None) -> Batch:
    batch = Batch()
    lines = []
    for index, item in enumerate(items):
        try:
            lines.append(to_line(item, receipt, identify))
        except Refused as refused:
            batch.rejected += 1
            batch.refused[refused.refusal] = batch.refused.get(refused.refusal, 0) + 1
            if len(batch.errors) < BATCH_ERRORS_MAX:
                batch.errors.append(
                    {"index": index, "code": refused.refusal, "detail": refused.detail}
                )
    batch.lines, batch.accepted = b"".join(lines), len(lines)
    return batch


def _split(body: bytes) -> list[bytes]:
    if not body.lstrip().startswith(b"["):
        return [line for line in body.split(b"\n") if line and not line.isspace()]
    try:
        return list(map(bytes, _decode_array(body)))
    except (ValueError, RecursionError) as error:
        raise Refused(Refusal.MALFORMED_JSON, f"{error}.") from None


def _explain(error: msgspec.ValidationError) -> str:
    text = str(error)
    if "unknown field" in text:
        return f"{text}. Put what is your own under `props`."
    column = _CLOSED.get(text.rpartition(" - at ")[2])
    if column is None:
        return f"{text}."
    expected = ", ".join(sorted(column.among)) or _EXAMPLE[column.name]
    return f"{text}: expected {expected}."


def _complete(event: ReceivedEvent, receipt: Receipt, identify: Identify | None) -> None:
    event.timestamp = _in_utc(event.timestamp, receipt)
    event.time_zone = None
    if identify is not None and event.user_id is None:
        event.user_id = identify(event.site_id)


def _in_utc(timestamp: datetime | None, receipt: Receipt) -> datetime:
    if timestamp is None:
        return receipt.at
    if timestamp > receipt.latest:
        raise Refused(
            Refusal.TIMESTAMP_OUT_OF_RANGE,
            "The timestamp is more than 24 hours ahead of the server - at `$.timestamp`.",
        )
    if timestamp < EARLIEST:
        raise Refused(
            Refusal.TIMESTAMP_OUT_OF_RANGE, "The timestamp is before 1970 - at `$.timestamp`."
        )
    return timestamp.astimezone(UTC)


def _may_hold_control_characters(body: bytes) -> bool:
    """Inside a JSON string a control character is either escaped, or it is DEL: without these
    two bytes there can be none, and nearly no event has them."""
    return BACKSLASH in body or DEL in body


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
