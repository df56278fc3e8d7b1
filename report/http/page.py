"""The dashboard as report serves it: files as they are, and the rules that browsers hold them to.

The page is open without a token: it tells nothing, and asks the API for everything.
"""

import gzip
import mimetypes
from hashlib import sha256
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = Path(__file__).parent.with_name("dashboard")
MOUNTED_AT = "/dashboard"
PATHS = ["/", *(f"{MOUNTED_AT}/{path.name}" for path in FOLDER.iterdir())]

# Content Security Policy Level 3: its own files, its own API, and nothing else
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "vary": "accept-encoding",
    "cache-control": "no-cache",  # asked for with its ETag: after an update nobody sees the old one
}


class File:
    """A file in both its forms, read once: a page of a dozen files is there at once."""

    def __init__(self, path: Path) -> None:
        self._plain = path.read_bytes()
        self._gzip = gzip.compress(self._plain, mtime=0)
        self._hash = sha256(self._plain).hexdigest()[:16]
        self._media_type = mimetypes.guess_type(path.name)[0] or "text/plain"

    async def get(self, request: Request[Any]) -> Response:
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        etag = f'"{self._hash}-gzip"' if zipped else f'"{self._hash}"'
        headers = HEADERS | {"etag": etag}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if zipped:
            headers["content-encoding"] = "gzip"
        body = self._gzip if zipped else self._plain
        return Response(body, headers=headers, media_type=self._media_type)


def routes() -> list[Route]:
    files = {path.name: File(path) for path in FOLDER.iterdir()}
    return [
        Route("/", files["index.html"].get),
        *(Route(f"{MOUNTED_AT}/{name}", file.get) for name, file in files.items()),
    ]
