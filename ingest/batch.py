"""The events of one request become lines: all as one, or event by event to say which do not."""

from contextlib import suppress

from ingest.dialects.dialect import Outcome, Reading, Rejection
from ingest.event import ReceivedEvent
from ingest.receipt import Identify, Receipt, Sender, complete, encode_all
from ingest.refusal import Refusal, Refused

BATCH_DATES_MAX = 31
BATCH_ERRORS_MAX = 100


def to_lines(
    reading: Reading,
    receipt: Receipt,
    identify: Identify | None = None,
    dates_max: int = BATCH_DATES_MAX,
    sender: Sender | None = None,
) -> Outcome:
    """The spool lines for what a request says. Raises Refused if its events are of more dates than
    those of one request may be."""
    if sender is not None:
        _admit(reading, sender)
    outcome = Outcome(left_out=reading.left_out)
    events = _completed_at_once(reading, receipt, identify, sender)
    if events is None:
        events = _completed_one_by_one(reading, receipt, identify, sender, outcome)
    if _dates(events, receipt) > dates_max:
        raise Refused(Refusal.TOO_LARGE, f"A batch may have events of {dates_max:,} dates.")
    outcome.lines, outcome.accepted = encode_all(events, receipt), len(events)
    return outcome


def _admit(reading: Reading, sender: Sender) -> None:
    """All of them before any is completed, for they may be completed again."""
    total = len(reading.events) + len(reading.rejected)
    indexes = [index for index in range(total) if index not in reading.rejected]
    rejected: dict[int, Rejection] = {}
    for index, event in zip(indexes, reading.events, strict=True):
        try:
            sender.admit(event)
        except Refused as refused:
            rejected[index] = Rejection.of(refused)
    if rejected:
        pairs = zip(indexes, reading.events, strict=True)
        reading.events = [event for index, event in pairs if index not in rejected]
        reading.rejected.update(rejected)


def _completed_at_once(
    reading: Reading, receipt: Receipt, identify: Identify | None, sender: Sender | None
) -> list[ReceivedEvent] | None:
    """None if one is refused; those before it may be completed again."""
    if reading.rejected:
        return None
    with suppress(Refused):
        for event in reading.events:
            complete(event, receipt, identify, sender)
        return reading.events
    return None


def _completed_one_by_one(
    reading: Reading,
    receipt: Receipt,
    identify: Identify | None,
    sender: Sender | None,
    outcome: Outcome,
) -> list[ReceivedEvent]:
    completed = []
    events = iter(reading.events)
    for index in range(len(reading.events) + len(reading.rejected)):
        rejection = reading.rejected.get(index)
        if rejection is None:
            event = next(events)
            try:
                complete(event, receipt, identify, sender)
                completed.append(event)
                continue
            except Refused as refused:
                rejection = Rejection.of(refused)
        outcome.rejected += 1
        outcome.refused[rejection.refusal] = outcome.refused.get(rejection.refusal, 0) + 1
        if rejection.site_id is not None:
            outcome.refused_by_site[rejection.site_id, rejection.refusal] += 1
        if len(outcome.errors) < BATCH_ERRORS_MAX:
            outcome.errors.append((index, rejection))
    return completed


def _dates(events: list[ReceivedEvent], receipt: Receipt) -> int:
    """On how many UTC dates they are; most have the time of receipt itself."""
    own = [event.timestamp for event in events if event.timestamp is not receipt.time]
    dates = {time[:10] for time in own if time}
    if len(own) < len(events):
        dates.add(receipt.time[:10])
    return len(dates)
