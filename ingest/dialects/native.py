"""Footfall's own: `POST /event` takes one event, `POST /events` many.

    event   := JSON object, see ingest.event; its body is at most EVENT_BYTES_MAX
    events  := array | lines
    array   := "[" (event ("," event)*)? "]"
    lines   := event ("\\n" event)*       blank lines are not counted, but are lines
    query   := ack=written|synced, visitor=daily; each at most once, and no other

An event is answered 202, or with the problem that it has. Many are answered 202 when all are
valid, 207 when some are, 422 when none is, with the index and the reason of the first refused.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache

import msgspec
import orjson
from starlette.datastructures import QueryParams

from ingest.dialects.dialect import Answer, Message, Options, Outcome, Reading
from ingest.http.problem import MEDIA_TYPE
from ingest.receipt import decode, decode_all, may_hold_control_characters
from ingest.refusal import PROBLEMS, STATUS, Refusal, Refused

PARAMETERS = ("ack", "visitor")
BATCH_EVENTS_MAX = 10_000
BATCH_LINES_MAX = 2 * BATCH_EVENTS_MAX  # of NDJSON, blank ones included
ACCEPTED = Answer(202, b'{"status":"accepted"}')


def read_event(message: Message) -> Reading:
    return Reading(options_of(message.query, message.ack), [decode(message.body)])


def answer_event(outcome: Outcome) -> Answer:
    for _, rejection in outcome.errors:
        raise Refused(*rejection)
    return ACCEPTED


def read_events(message: Message) -> Reading:
    options = options_of(message.query, message.ack)
    bodies = split(message.body)
    if not may_hold_control_characters(message.body):
        with suppress(ValueError, RecursionError):  # then one by one, to say which
            return Reading(options, decode_all(bodies))
    reading = Reading(options)
    for body in bodies:
        reading.take(body)
    return reading


def answer_events(outcome: Outcome) -> Answer:
    told: dict[str, object] = {"accepted": outcome.accepted, "rejected": outcome.rejected}
    if not outcome.rejected:
        return Answer(202, orjson.dumps(told))
    told["errors"] = [
        {"index": index, "code": refusal, "detail": detail}
        for index, (refusal, detail, _) in outcome.errors
    ]
    if outcome.accepted:
        return Answer(207, orjson.dumps(told))
    refused = Refused(Refusal.INVALID_EVENT, "No event of the batch is valid.")
    return Answer(STATUS[refused.refusal], PROBLEMS.body(refused, **told), MEDIA_TYPE)


# Options


def options_of(query: QueryParams, ack: str) -> Options:
    """Raises Refused: a misspelt promise must not silently become a weaker one."""
    for name in query:
        if name not in PARAMETERS:
            raise _bad(f"There is no parameter {name[:64]!r}; there is {', '.join(PARAMETERS)}.")
        if len(query.getlist(name)) > 1:
            raise _bad(f"{name} is given more than once.")
    ack = query.get("ack", ack)
    if ack not in ("written", "synced"):
        raise _bad("ack is either written or synced.")
    visitor = query.get("visitor")
    if visitor not in (None, "daily"):
        raise _bad("visitor is daily, or not given.")
    return Options(ack == "synced", visitor == "daily")


def plain_targets(ack: str) -> dict[bytes, Options]:
    """Every way to write the target of one event, given the default of `ack`."""
    acks = ("ack=written", "ack=synced")
    queries = ["", *acks, "visitor=daily"]
    queries += [f"{each}&visitor=daily" for each in acks]
    queries += [f"visitor=daily&{each}" for each in acks]
    return {
        f"/event?{query}".rstrip("?").encode(): options_of(QueryParams(query), ack)
        for query in queries
    }


def _bad(detail: str) -> Refused:
    return Refused(Refusal.BAD_PARAMETER, detail)


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
