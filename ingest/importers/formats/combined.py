r"""One line of an Apache or nginx access log, and the page view it records.

    line     := address ident user [time] "request" status bytes combined?   and anything after
    combined := "referrer" "agent                        the agent's closing quote may be missing
    request  := method target version?

Every line of this form is one page view, whatever its method or status.

    path       target up to its first "?", as the client sent it: an absolute target
               (http://host/x) stays one. "/" if empty, or if the request has no target
    timestamp  time, in UTC
    referrer   left out if it is "-" or empty
    visitor    address 0x1f agent, which is empty in a common log; only a keyed hash of it is sent

A quoted field may hold \", and the \xhh that both servers write for unusual bytes. Such escapes
are kept as they are, and a raw control character or a byte that is not UTF-8 is turned into one,
so the collector has no reason to refuse it. A path or referrer over 2,048 characters is cut there.
"""

import re
from datetime import datetime

from ingest.importers.record import LONGEST, Record
from ingest.timestamp import write

TEXT_LENGTH_MAX = min(LONGEST["path"], LONGEST["referrer"])

# Possessive, so that a hostile line cannot make the match try every way to split a field.
QUOTED = rb"(?:[^\"\\]++|\\.)*+"
LINE = re.compile(
    rb"(?P<address>\S+) (?:\S+ \S+|- .+?) "  # a user name may hold spaces
    rb"\[(?P<day>\d\d)/(?P<month>\w{3})/(?P<year>\d{4}):(?P<clock>\d\d:\d\d:\d\d)"
    rb" (?P<offset>[+-]\d{4})\] "
    rb'"(?P<request>' + QUOTED + rb')" \d{3} (?:\d+|-)(?= |$)'
    rb'(?: "(?P<referrer>' + QUOTED + rb')" "(?P<agent>' + QUOTED + rb"))?"
)
HTTP_VERSION = re.compile(rb"(?:^| )HTTP/[\d.]+$")
MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # English in every locale
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def read(line: bytes) -> Record | None:
    """The page view that `line` records, or None if it is not a log line."""
    match = LINE.match(line)
    if match is None:
        return None
    try:
        timestamp = utc(*match.group("year", "month", "day", "clock", "offset"))
    except (ValueError, OverflowError):  # the 31st of February; an hour before the year 1
        return None
    view = {
        "event_type": "page_view",
        "path": path(match["request"]),
        "timestamp": timestamp,
    }
    if match["referrer"] not in (None, b"", b"-"):
        view["referrer"] = text(match["referrer"])
    return Record(view, visitor=match["address"] + b"\x1f" + (match["agent"] or b""))


def utc(year: bytes, month: bytes, day: bytes, clock: bytes, offset: bytes) -> str:
    local = b"%s-%02d-%sT%s%s" % (year, MONTHS.index(month) + 1, day, clock, offset)
    return write(datetime.fromisoformat(local.decode()))


def path(request: bytes) -> str:
    _method, _, rest = request.partition(b" ")
    target = HTTP_VERSION.sub(b"", rest)
    return text(target.partition(b"?")[0]) or "/"


def text(raw: bytes) -> str:
    decoded = raw.decode("utf-8", "backslashreplace")
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", decoded)[:TEXT_LENGTH_MAX]
