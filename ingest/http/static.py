"""Files as they are, with an ETag (RFC 9110, 8.8.3), plain or gzip."""

import gzip
import mimetypes
from hashlib import sha256
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response


class StaticFile:
    """One file in both its forms, read once: a page of a dozen files is there at once.

    `headers` go with every answer; they say how long it may be kept, and who may use it.
    """

    def __init__(self, path: Path, headers: dict[str, str]) -> None:
        self._plain = path.read_bytes()
        self._gzip = gzip.compress(self._plain, mtime=0)
        self._hash = sha256(self._plain).hexdigest()[:16]
        self._media_type = mimetypes.guess_type(path.name)[0] or "text/plain"
        self._headers = headers | {
            "vary": "accept-encoding",
            "x-content-type-options": "nosniff",
        }

    async def get(self, request: Request[Any]) -> Response:
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        etag = f'"{self._hash}-gzip"' if zipped else f'"{self._hash}"'
        headers = self._headers | {"etag": etag}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if zipped:
            headers["content-encoding"] = "gzip"
        body = self._gzip if zipped else self._plain
        return Response(body, headers=headers, media_type=self._media_type)
