r"""One line of an Apache or nginx access log.

    line     := address ident user [time] "request" status bytes combined?   and anything after
    combined := "referrer" "agent                        the agent's closing quote may be missing
    request  := method target version?

A quoted field may hold \", and the \xhh that both servers write for unusual bytes. Such escapes
are kept as they are.
"""

import re
from datetime import datetime

from ingest.importers.logged_request import LoggedRequest
from ingest.timestamp import write

# Possessive, so that a hostile line cannot make the match try every way to split a field.
QUOTED = rb"(?:[^\"\\]++|\\.)*+"
LINE = re.compile(
    rb"(?P<address>\S+) (?:\S+ \S+|- .+?) "  # a user name may hold spaces
    rb"\[(?P<day>\d\d)/(?P<month>\w{3})/(?P<year>\d{4}):(?P<clock>\d\d:\d\d:\d\d)"
    rb" (?P<offset>[+-]\d{4})\] "
    rb'"(?P<request>' + QUOTED + rb')" (?P<status>\d{3}) (?:\d+|-)(?= |$)'
    rb'(?: "(?P<referrer>' + QUOTED + rb')" "(?P<agent>' + QUOTED + rb"))?"
)
HTTP_VERSION = re.compile(rb"(?:^| )HTTP/[\d.]+$")
MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # English in every locale


def read(line: bytes) -> LoggedRequest | None:
    """None if it is not a log line."""
    match = LINE.match(line)
    if match is None:
        return None
    try:
        timestamp = utc(*match.group("year", "month", "day", "clock", "offset"))
    except (ValueError, OverflowError):  # the 31st of February; an hour before the year 1
        return None
    method, _, rest = match["request"].partition(b" ")
    path, _, query = HTTP_VERSION.sub(b"", rest).partition(b"?")
    return LoggedRequest(
        timestamp,
        address=match["address"],
        agent=None if match["agent"] is None else _sent(match["agent"]),
        method=method,
        path=path,
        query=query,
        status=int(match["status"]),
        referrer=_sent(match["referrer"] or b""),
    )


def _sent(field: bytes) -> bytes:
    return b"" if field == b"-" else field


def utc(year: bytes, month: bytes, day: bytes, clock: bytes, offset: bytes) -> str:
    local = b"%s-%02d-%sT%s%s" % (year, MONTHS.index(month) + 1, day, clock, offset)
    return write(datetime.fromisoformat(local.decode()))
