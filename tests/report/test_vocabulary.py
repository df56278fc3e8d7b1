"""A metric, a dimension and a filter's operator are each one row: what follows, follows by itself.

The product is copied, a row is added to each table of the copy, and both are asked.
"""

import json
import os
import shutil
import subprocess
import sys
from urllib.parse import quote

import pytest

from tests.processes import PROJECT
from tests.report.holding import Folder, asking, event

ROWS = {
    "metrics": (
        "\n)\nMETRICS =",
        """
    Metric(
        name="views_per_user",
        words="Views of each user.",
        of_events="count(*) / nullif(count(DISTINCT user_id), 0)",
        of_users="sum(views) / nullif(count(user_id), 0)",
        kind=float | None,
        zero=None,
    ),
)
METRICS =""",
    ),
    "dimensions": (
        "\n)\nDIMENSIONS =",
        """
    Dimension(
        "section",
        "First of the path",
        "path",
        "nullif(split_part(path, '/', 2), '')",
        asked_as="event:section",
    ),
)
DIMENSIONS =""",
    ),
    "query/metrics": (
        "\n)\nMETRICS =",
        """
    Metric("deepest", "Deepest path.", (Part("deep", "events", "max(len(path))", "max"),), "deep"),
)
METRICS =""",
    ),
    "query/operators": (
        "\n)\nOPERATORS =",
        """
    Operator("ends_with", "ends like one", "texts", "(suffix({value}, {given}))", example='["/"]'),
)
OPERATORS =""",
    ),
    "filters": (
        "(IS,)",
        """(
    IS,
    Operator("starts_with", "beginning with this", "starts_with({value}, {given})"),
)""",
    ),
}
PLAIN = "/stats?site_id=blog"
SERIES = "/stats/timeseries?site_id=blog&from=2025-11-11&to=2025-11-12"
BY_PATH = "/stats/breakdown?site_id=blog&by=path"
BY_SECTION = "/stats/breakdown?site_id=blog&by=section"
STARTS = "/stats?site_id=blog&path__starts_with=/blog"
QUESTION = {"site_id": "blog", "date_range": "all", "metrics": ["deepest", "visitors"]}
QUESTION |= {"dimensions": ["event:section"], "filters": [["ends_with", "event:page", ["a", "p"]]]}
ANY = "/query?query=" + quote(json.dumps(QUESTION))
URLS = [
    ANY,
    PLAIN,
    SERIES,
    BY_PATH,
    BY_SECTION,
    STARTS,
    f"{PLAIN}&section=blog",
    f"{PLAIN}&section=",
]
NOTHING_GIVEN = f"{PLAIN}&path__starts_with="
ASK = """
import json, sys
from pathlib import Path
from tests.report.holding import asking
with asking(Path(sys.argv[1])) as client:
    answers = {url: client.get(url) for url in sys.argv[2:]}
    print(json.dumps({url: [a.status_code, a.json(), a.headers.get("etag")]
                      for url, a in answers.items()}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("data"))
    folder.holds(
        event(path="/blog/a", user_id="ann"),
        event(path="/blog/b", user_id="ann"),
        event(path="/shop", user_id="bob"),
        event(path="/", user_id=None),
    )
    return folder


@pytest.fixture(scope="module")
def extended(folder, tmp_path_factory):
    """What the copy with one row more in each table answers, by URL."""
    copy = tmp_path_factory.mktemp("copy")
    for stage in ("ingest", "compactor", "report"):
        ignored = shutil.ignore_patterns("__pycache__", "screenshots")
        shutil.copytree(PROJECT / stage, copy / stage, ignore=ignored)
    for table, (end, row) in ROWS.items():
        path = copy / "report" / "terms" / f"{table}.py"
        text = path.read_text()
        assert text.count(end) == 1
        path.write_text(text.replace(end, row))
    told = subprocess.run(
        [sys.executable, "-c", ASK, str(folder.path), *URLS, NOTHING_GIVEN, "/openapi.json"],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def figures(told):
    status, figures, _ = told
    assert status == 200, figures
    return figures


def test_a_metric_is_a_row(extended):
    assert figures(extended[PLAIN])["views_per_user"] == 2.0
    none, some = figures(extended[SERIES])["rows"]
    assert (none["views_per_user"], some["views_per_user"]) == (None, 2.0)
    rows = {row["value"]: row for row in figures(extended[BY_PATH])["rows"]}
    assert rows["/blog/a"]["views_per_user"] == 1.0
    assert rows["/"]["views_per_user"] is None


def test_a_dimension_is_a_row(extended):
    rows = [(row["value"], row["views"]) for row in figures(extended[BY_SECTION])["rows"]]
    assert rows == [("blog", 2), ("shop", 1), (None, 1)]
    assert figures(extended[f"{PLAIN}&section=blog"])["total_views"] == 2
    assert figures(extended[f"{PLAIN}&section="])["total_views"] == 1
    assert "section" not in figures(extended[SERIES])  # by which nobody filtered


def test_an_operator_is_a_row(extended):
    told = figures(extended[STARTS])
    assert (told["total_views"], told["path__starts_with"]) == (2, "/blog")
    assert extended[NOTHING_GIVEN][0] == 400
    assert "path__starts_with" not in figures(extended[SERIES])


def test_so_they_are_of_the_language_of_questions(extended):
    rows = [(*row["dimensions"], *row["metrics"]) for row in figures(extended[ANY])["results"]]
    assert rows == [("blog", 7, 1), ("shop", 5, 1)]


def test_the_document_has_what_the_rows_say(extended):
    document = figures(extended["/openapi.json"])
    parameters = document["paths"]["/stats"]["get"]["parameters"]
    described = {each["name"]: each["description"] for each in parameters}
    assert described["section"] == "First of the path: exactly this; empty: events without one."
    assert described["path__starts_with"] == "Path of the page: beginning with this."
    bucket = document["components"]["schemas"]["Bucket"]["properties"]
    assert bucket["views_per_user"]["description"] == "Views of each user."


def test_an_answer_of_another_shape_has_another_etag(folder, extended):
    """Else who has the old shape would keep it, behind a 304."""
    with asking(folder.path) as client:
        for url in (PLAIN, SERIES, BY_PATH):
            assert client.get(url).headers["etag"] != extended[url][2]


def test_what_no_row_says_is_refused(folder):
    with asking(folder.path) as client:
        for url in (BY_SECTION, STARTS, f"{PLAIN}&section=blog"):
            assert client.get(url).json()["code"] == "bad_parameter"
        assert client.get(ANY).json()["code"] == "bad_query"
