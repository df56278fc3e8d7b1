"""What is asked of DuckDB, and what is answered, over one small lake: tests/report/golden.

`python -m tests.report.pinned_questions` writes it anew, where a change of it is meant.
"""

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import duckdb

from ingest.segment import CLOSED, OPEN
from tests.report.holding import Folder, asking, event, line

GOLDEN = Path(__file__).with_name("golden") / "questions.txt"

BERLIN = "tz=Europe/Berlin&from=2025-10-25&to=2025-10-27"  # its clocks go back in it
SELECTIONS = [
    "",
    "&date=2025-10-26",
    "&from=2025-10-26",
    f"&{BERLIN}",
    "&tz=America/New_York&to=2025-10-26",
    "&event_type=",
    "&event_type=signup",
    "&path=/a&referrer=&user_id=ann",
    "&path=&referrer_host=news.example&user_id=",
    "&referrer=https://news.example/x&limit=1",
]
BY = ["path", "referrer", "referrer_host", "event_type", "user_id", "props.plan", "props.a/~b"]
QUESTIONS = [
    *(f"/stats?site_id=blog{selection}" for selection in SELECTIONS),
    *(
        f"/stats/timeseries?site_id=blog&interval={interval}{selection}"
        for interval in ("hour", "day", "week", "month")
        for selection in ("", f"&{BERLIN}", "&from=2025-10-24&to=2025-10-28&path=/a")
    ),
    *(f"/stats/breakdown?site_id=blog&by={by}" for by in BY),
    f"/stats/breakdown?site_id=blog&by=path&limit=2&offset=1&{BERLIN}",
    "/stats/live?site_id=blog",
    "/sites",
    "/sites?limit=1&offset=1",
    "/ledger",
    "/export?site_id=blog",
    f"/export?site_id=blog&format=csv&event_type=signup&{BERLIN}",
]
# Elsewhere only where the rows come from is another place
FEW = [*QUESTIONS[:2], *QUESTIONS[10:16], QUESTIONS[22], "/ledger", "/export?site_id=blog"]
TABLES = [QUESTIONS[0], QUESTIONS[13], QUESTIONS[22], "/sites", "/ledger"]
OF_NOW = ("from", "to", "lag_s")  # what an answer that depends on the clock says of it


class Asked:
    """What DuckDB was asked. A text that was there before is told by its number alone."""

    def __init__(self):
        self._numbers = {}
        self._told = []

    def note(self, query, parameters):
        text = f"{query.strip()}\n-- with {', '.join(sorted(parameters or ()))}"
        known = text in self._numbers
        number = self._numbers.setdefault(text, len(self._numbers) + 1)
        self._told.append(f"-- query {number}" if known else f"-- query {number}:\n{text}")

    def taken(self):
        told, self._told = self._told, []
        return told


class Recorder:
    """A connection of DuckDB that writes down what it is asked."""

    def __init__(self, connection, asked):
        self._connection = connection
        self._asked = asked

    def cursor(self):
        return Recorder(self._connection.cursor(), self._asked)

    def execute(self, query, parameters=None):
        self._asked.note(query, parameters)
        return self._connection.execute(query, parameters)

    def sql(self, query, *, params=None):
        self._asked.note(query, params)
        return self._connection.sql(query, params=params)

    def __getattr__(self, name):
        return getattr(self._connection, name)


def fill(folder):
    """Three dates in parts, the last ones also in the spool; a site beside it."""
    start = datetime(2025, 10, 25, 21, 30, tzinfo=UTC)

    def some(count, first):
        for n in range(first, first + count):
            yield event(
                start + timedelta(hours=n),
                site_id="shop" if n % 7 == 6 else "blog",
                event_type="signup" if n % 5 == 4 else "page_view",
                path=None if n % 6 == 5 else f"/{'abc'[n % 3]}",
                user_id=None if n % 4 == 3 else ("ann", "bob", "cy")[n % 3],
                event_id=str(n % 11) if n % 2 else None,
                referrer=(None, "https://News.example/x", "")[n % 3],
                props={"plan": "pro", "a/~b": n} if n % 3 == 0 else None,
            )

    folder.holds(*some(24, 0))
    folder.holds(*some(24, 20))
    folder.segment(map(line, some(8, 36)), CLOSED)
    folder.segment(map(line, some(8, 42)), OPEN)


def told(client, url, **headers):
    answer = client.get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"] != "application/json":
        lines = answer.text.splitlines()
        return "\n".join(sorted(lines) if url.startswith("/export") else lines)
    figures = answer.json()
    if url.startswith(("/stats/live", "/ledger")):
        figures = {name: value for name, value in figures.items() if name not in OF_NOW}
    return json.dumps(figures, ensure_ascii=False)


def world(title, questions, path, asked, **settings):
    with asking(path, **settings) as client:
        asked.taken()  # what opening it asked
        for url in questions:
            answer = told(client, url)
            yield "\n".join([f"# {title}: GET {url}", *asked.taken(), answer])
        for url in TABLES:
            yield f"# {title}: GET {url} as CSV\n" + told(client, url, accept="text/csv")


def text(site_rows_max):
    """`site_rows_max(n)`: while it is entered, larger sites are read from their parts."""
    asked, pieces, connect = Asked(), [], duckdb.connect

    def recorder(*args, **named):
        return Recorder(connect(*args, **named), asked)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        fill(Folder(path))
        recorded = patch.object(
            duckdb, "connect", lambda *a, **k: Recorder(connect(*a, **k), asked)
        )
        with recorded:
            pieces += world("rows in memory", QUESTIONS, path, asked)
        with recorded, site_rows_max(0):
            pieces += world("rows in parts", FEW, path, asked)
            pieces += world("rows in files", FEW, path, asked, spool_rows_bytes_max=0)
    return "\n\n\n".join(pieces) + "\n"


def questions():
    return text(lambda rows: patch("report.snapshot.site_rows.SITE_ROWS_MAX", rows))


if __name__ == "__main__":
    GOLDEN.write_text(questions())
