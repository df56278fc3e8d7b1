"""The receipt of an event: a client's JSON becomes a spool line, step by step.

decode     the JSON, checked against the columns of ingest.event
admit      whether who sends it may, where there is a sites.toml
complete   its time in UTC, in range; what it does not say of its visitor
encode     the line, with the time of receipt
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol, Self

import msgspec

from ingest import timestamp
from ingest.context.zones import country_of_zone
from ingest.event import COLUMNS, EVENT_BYTES_MAX, Event, ReceivedEvent
from ingest.refusal import Refusal, Refused

AHEAD_MAX = timedelta(hours=24)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
DETAIL_CHARS_MAX = 200  # of what a refusal quotes: else a batch could ask for megabytes of it
BACKSLASH, DEL = 0x5C, 0x7F  # as numbers they are looked for with memchr, four times faster

Identify = Callable[[ReceivedEvent], None]  # fills in what its request tells of the visitor


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


class Sender(Protocol):
    """Who sends, as far as events are concerned: ingest.admission."""

    def admit(self, event: ReceivedEvent) -> None:
        """Before an event is completed. Raises Refused."""

    def settle(self, event: ReceivedEvent, receipt: Receipt) -> None:
        """When it is complete. Raises Refused."""


def to_line(
    body: bytes,
    receipt: Receipt,
    identify: Identify | None = None,
    sender: Sender | None = None,
) -> bytes:
    """The spool line for one event, given its JSON. Raises Refused.

    What the event does not say of its visitor, `identify` fills in; what `sender` may not send is
    refused.
    """
    event = decode(body)
    if sender is not None:
        sender.admit(event)
    complete(event, receipt, identify, sender)
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


def complete(
    event: ReceivedEvent,
    receipt: Receipt,
    identify: Identify | None,
    sender: Sender | None = None,
) -> None:
    """Give it its time in UTC, and what it does not say of its visitor. Raises Refused."""
    own = event.timestamp
    event.timestamp = receipt.time if own is None else _in_utc(own, receipt)
    if event.time_zone is not None and event.country is None:
        event.country = country_of_zone(event.time_zone)
    event.received_at = event.time_zone = None
    if identify is not None:
        identify(event)
    if sender is not None:
        sender.settle(event, receipt)


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
    expected = ", ".join(sorted(column.among)) or column.words
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
