"""GET /tracker.js: the minified tracker, with a day's cache."""

from pathlib import Path

from ingest.http.static import StaticFile

HEADERS = {
    "cache-control": "public, max-age=86400",
    # any site's page may run it, also one that isolates itself (COEP) or names its hash (SRI)
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
}


def tracker() -> StaticFile:
    return StaticFile(Path(__file__).with_name("tracker.min.js"), HEADERS)
