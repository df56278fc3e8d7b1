"""RFC 3339 timestamps: read strictly, kept in UTC to the microsecond.

    timestamp := date ("T" | "t" | " ") hour ":" minute ":" second ("." digits)? offset
    offset    := "Z" | "z" | ("+" | "-") hour ":" minute

Digits finer than a microsecond are cut, not rounded: 23:59:59.9999999 stays on its date. A leap
second (RFC 3339, 5.7: second 60, of the last minute of a month in UTC) is kept as the last
microsecond of its minute, since neither clocks nor Parquet count it: so it, too, stays on its date.
"""

import re
from datetime import UTC, datetime, timedelta

_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:)([0-5]\d|60)(?:\.(\d{1,6})\d*)?"
    r"(?:[Zz]|([+-](?:[01]\d|2[0-3]):[0-5]\d))",
    re.ASCII,
)
_AS_WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(?:\.(?!000000)\d{6})?Z", re.ASCII)


def read(text: str) -> tuple[datetime, bool]:
    """The instant, and whether `write` would give this very text for it. Raises ValueError."""
    if _AS_WRITTEN.fullmatch(text):  # what programs send; 0.6 µs less
        return datetime.fromisoformat(text), True
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not as RFC 3339 has it")
    date, minute, second, digits, offset = match.groups("")
    leap = second == "60"
    second = f"{'59' if leap else second}.{digits:0<6}"
    at = datetime.fromisoformat(f"{date}T{minute}{second}{offset or '+00:00'}")
    return (_end_of_month(at) if leap else at), False


def write(at: datetime) -> str:
    """In UTC, with no fraction or six digits of it."""
    return at.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def _end_of_month(at: datetime) -> datetime:
    try:
        after = at.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    except OverflowError:
        raise ValueError("there is no such time") from None
    if (after.day, after.hour, after.minute) != (1, 0, 0):
        raise ValueError("a leap second ends a month")
    return at.replace(microsecond=999_999)
