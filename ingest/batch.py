"""A batch: NDJSON or a JSON array, counted before it is split, read as one or event by event."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import msgspec

from ingest.event import (
    Identify,
    Receipt,
    ReceivedEvent,
    complete,
    decode,
    decode_all,
    encode_all,
    may_hold_control_characters,
)
from ingest.refusal import Refusal, Refused

BATCH_EVENTS_MAX = 10_000
BATCH_LINES_MAX = 2 * BATCH_EVENTS_MAX  # of NDJSON, blank ones included
BATCH_DATES_MAX = 31
BATCH_ERRORS_MAX = 100


class Batch(msgspec.Struct):
    """What became of the events of one request: the lines to append, and what was refused."""

    lines: bytes = b""
    accepted: int = 0
    rejected: int = 0
    refused: dict[Refusal, int] = {}  # how many, by reason
    errors: list[dict[str, Any]] = []  # the first BATCH_ERRORS_MAX


def to_lines(
    body: bytes,
    receipt: Receipt,
    identify: Identify | None = None,
    dates_max: int = BATCH_DATES_MAX,
) -> Batch:
    """The spool lines for a batch. Raises Refused if it is neither NDJSON nor an array, or if it
    has more events, or dates of them, than a batch may have.

    An event's index counts from 0; blank lines of NDJSON are not counted.
    """
    items = split(body)
    batch = Batch()
    events = _read_at_once(body, items, receipt, identify)
    if events is None:
        events = _read_one_by_one(items, receipt, identify, batch)
    if _dates(events, receipt) > dates_max:
        raise Refused(Refusal.TOO_LARGE, f"A batch may have events of {dates_max:,} dates.")
    batch.lines, batch.accepted = encode_all(events, receipt), len(events)
    return batch


def _dates(events: list[ReceivedEvent], receipt: Receipt) -> int:
    """On how many UTC dates they are; most have the time of receipt itself."""
    own = [event.timestamp for event in events if event.timestamp is not receipt.time]
    dates = {time[:10] for time in own if time}
    if len(own) < len(events):
        dates.add(receipt.time[:10])
    return len(dates)


def _read_at_once(
    body: bytes, items: list[bytes], receipt: Receipt, identify: Identify | None
) -> list[ReceivedEvent] | None:
    """Half the time of one by one. None if there is one to refuse, or that may be."""
    if may_hold_control_characters(body):
        return None
    with suppress(ValueError, RecursionError, Refused):
        events = decode_all(items)
        for event in events:
            complete(event, receipt, identify)
        return events
    return None


def _read_one_by_one(
    items: list[bytes], receipt: Receipt, identify: Identify | None, batch: Batch
) -> list[ReceivedEvent]:
    events = []
    for index, item in enumerate(items):
        try:
            event = decode(item)
            complete(event, receipt, identify)
            events.append(event)
        except Refused as refused:
            batch.rejected += 1
            batch.refused[refused.refusal] = batch.refused.get(refused.refusal, 0) + 1
            if len(batch.errors) < BATCH_ERRORS_MAX:
                error = {"index": index, "code": refused.refusal, "detail": refused.detail}
                batch.errors.append(error)
    return events


# Splitting. No more pieces are made than a batch may have, whatever the body holds.


def split(body: bytes) -> list[bytes]:
    """The JSON texts of a batch's events. Raises Refused."""
    if body.lstrip()[:1] == b"[":
        return _elements(body)
    if body.count(b"\n") > BATCH_LINES_MAX:
        raise _too_many()
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    if len(lines) > BATCH_EVENTS_MAX:
        raise _too_many()
    return lines


_decode_few = msgspec.json.Decoder(list[msgspec.Raw]).decode


@cache  # 40 ms and 4 MiB, which most never need
def _decode_many() -> Callable[[bytes], msgspec.Struct]:
    """msgspec reads the whole of a list before its length is looked at. A struct that is read from
    an array ends at the first element for which it has no field; those without one are empty."""
    absent = msgspec.Raw()
    fields = [(f"element_{n}", msgspec.Raw, absent) for n in range(BATCH_EVENTS_MAX)]
    elements = msgspec.defstruct("_Elements", fields, array_like=True, forbid_unknown_fields=True)
    return msgspec.json.Decoder(elements).decode


def _elements(body: bytes) -> list[bytes]:
    try:
        if body.count(b",") < BATCH_EVENTS_MAX:  # then it has no more elements than that
            return list(map(bytes, _decode_few(body)))
        elements = msgspec.structs.astuple(_decode_many()(body))
        return list(filter(None, map(bytes, elements)))
    except msgspec.ValidationError:
        raise _too_many() from None
    except (ValueError, RecursionError) as error:
        raise Refused(Refusal.MALFORMED_JSON, f"{error}.") from None


def _too_many() -> Refused:
    return Refused(Refusal.TOO_LARGE, f"A batch may have {BATCH_EVENTS_MAX:,} events.")
