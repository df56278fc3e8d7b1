"""What a format makes of one line: an event, and who sent it."""

from hashlib import sha256
from typing import Any, NamedTuple

from ingest.event import COLUMNS

LONGEST = {column.name: column.longest for column in COLUMNS}  # of texts, in characters
SEPARATOR = "\x1f"


class Record(NamedTuple):
    event: dict[str, Any]  # its fields but site_id; user_id and event_id if the source has them
    visitor: bytes | None = None  # describes the person; only a keyed hash of it is sent
    is_daily: bool = False  # on that day


def seed(record: Record, raw: bytes) -> bytes:
    """What an event_id follows from: what is stored in any case, and one byte of the line's hash.

    That byte tells nearly all lines of one second apart. More of it would tell address and agent:
    whoever has an event could try all addresses until the id comes out.
    """
    event = record.event
    parts = (event["timestamp"], event.get("path", ""), event.get("referrer", ""))
    return SEPARATOR.join(parts).encode() + sha256(raw).digest()[:1]
