"""A request as a web server logs it, and what kind of event it is.

    error      answered with 4xx or 5xx
    redirect   3xx, but 304 (the visitor has the page already)
    request    another method than GET; or no answer of its own (1xx, and nginx' 000)
    asset      a file that pages are made of, by the ending of its path
    download   a file that is taken along, by the ending of its path
    page_view  anything else

The first that fits.
"""

from typing import NamedTuple

ASSETS = frozenset(
    b"css js mjs map json xml txt gif jpg jpeg png bmp ico svg svgz webp avif"
    b" ttf otf eot woff woff2 swf".split()
)
DOWNLOADS = frozenset(
    b"7z avi bz2 csv deb dmg doc docx epub exe gz iso jar mp3 mp4 mov mpg odt ogg pdf pkg"
    b" ppt pptx rar rpm tar tgz wav webm wmv xls xlsx xz zip".split()
)


class LoggedRequest(NamedTuple):
    timestamp: str  # RFC 3339, in UTC
    address: bytes
    agent: bytes | None  # None: not logged; empty: there was none
    method: bytes
    path: bytes  # the target up to its "?"; empty: there was none
    query: bytes
    status: int
    referrer: bytes  # empty: none


def kind(request: LoggedRequest) -> str:
    """The event_type."""
    status = request.status
    if status >= 400:
        return "error"
    if 300 <= status != 304:
        return "redirect"
    if request.method != b"GET" or status < 200:
        return "request"
    ending = request.path.rpartition(b"/")[2].rpartition(b".")
    name = ending[2].lower() if ending[1] else b""
    if name in ASSETS:
        return "asset"
    return "download" if name in DOWNLOADS else "page_view"
