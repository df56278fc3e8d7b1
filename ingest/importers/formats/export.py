"""Events as report's /export has them and POST /events takes them, one JSON object a line.

An event keeps all it has, also its event_id and user_id, but gets the site_id that the import
names. ingest checks the rest. A line without a timestamp is none of ours: an export always has it.
"""

from typing import Any

import msgspec

from ingest.importers.record import Record

OURS = ("site_id", "received_at")  # said anew by whoever takes the event

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def read(line: bytes) -> Record | None:
    """None if it is not an event."""
    try:
        event = _decode(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event.get("timestamp"), str) or not isinstance(event.get("event_type"), str):
        return None
    return Record({name: value for name, value in event.items() if name not in OURS})
