"""The dashboard as report serves it: files as they are, and the rules that browsers hold them to.

The page is open without a token: it tells nothing, and asks the API for everything.
"""

from pathlib import Path

from starlette.routing import Route

from ingest.http.static import StaticFile

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
    "cache-control": "no-cache",  # asked for with its ETag: after an update nobody sees the old one
}


def routes() -> list[Route]:
    files = {path.name: StaticFile(path, HEADERS) for path in FOLDER.iterdir()}
    return [
        Route("/", files["index.html"].get),
        *(Route(f"{MOUNTED_AT}/{name}", file.get) for name, file in files.items()),
    ]
