"""Makes ingest/tracker.min.js of ingest/tracker.js.   python -m tests.minify"""

import minify

from tests.processes import PROJECT

SOURCE = PROJECT / "ingest" / "tracker.js"
MINIFIED = SOURCE.with_name("tracker.min.js")


def minified() -> str:
    text: str = minify.string("text/javascript", SOURCE.read_text())
    return text


if __name__ == "__main__":
    MINIFIED.write_text(minified())
