"""GET /tracker.js: the minified tracker, with an ETag (RFC 9110, 8.8.3) and a day's cache."""

import gzip
from hashlib import sha256
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

HEADERS = {
    "cache-control": "public, max-age=86400",
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
    # any site's page may run it, also one that isolates itself (COEP) or names its hash (SRI)
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
}


class Tracker:
    """The script in both its forms, read once."""

    def __init__(self) -> None:
        self._plain = Path(__file__).with_name("tracker.min.js").read_bytes()
        self._gzip = gzip.compress(self._plain, mtime=0)
        self._hash = sha256(self._plain).hexdigest()[:16]

    async def get(self, request: Request[Any]) -> Response:
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        etag = f'"{self._hash}-gzip"' if zipped else f'"{self._hash}"'
        headers = HEADERS | {"etag": etag}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if zipped:
            headers["content-encoding"] = "gzip"
        body = self._gzip if zipped else self._plain
        return Response(body, headers=headers, media_type="text/javascript")
