"""The dashboard as report serves it: files as they are, and the rules that browsers hold them to.

The page is open without a token: it tells nothing, and asks the API for everything.
"""

from pathlib import Path
from typing import Any

from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).with_name("dashboard")
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
    "cache-control": "no-cache",  # asked for with its ETag: after an update nobody sees the old one
}


class Files(StaticFiles):
    """Starlette's static files (ETag, 304) with the headers above."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(HEADERS)
        return response


def routes() -> list[BaseRoute]:
    files = Files(directory=FOLDER)

    async def index(request: Request[Any]) -> Response:
        return await files.get_response("index.html", request.scope)

    return [Route("/", index), Mount(MOUNTED_AT, GZipMiddleware(files))]
