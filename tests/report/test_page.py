"""The dashboard's files as report serves them; test_dashboard.py looks at it in a browser."""

import re

import httpx2
import pytest

from report.questions import totals
from report.terms.dimensions import DIMENSIONS
from tests.processes import PROJECT, running

FOLDER = PROJECT / "report" / "dashboard"
FILES = sorted(path.name for path in FOLDER.iterdir())
OWN = [path for path in FOLDER.iterdir() if not path.name.startswith("uPlot")]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    with running("report", tmp_path_factory.mktemp("data"), token="secret") as report:
        yield report


def test_the_page_is_at_the_root_without_a_token(report):
    response = httpx2.get(report.url + "/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.text == (FOLDER / "index.html").read_text()
    assert httpx2.get(report.url + "/stats?site_id=blog").status_code == 401


@pytest.mark.parametrize("name", FILES)
def test_its_files_are_open_and_asked_for_anew_with_their_tag(report, name):
    url = f"{report.url}/dashboard/{name}"
    first = httpx2.get(url)
    assert (first.status_code, first.content) == (200, (FOLDER / name).read_bytes())
    assert first.headers["cache-control"] == "no-cache"
    again = httpx2.get(url, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/", "/dashboard/main.js"])
def test_browsers_are_held_to_its_rules(report, path):
    headers = httpx2.get(report.url + path).headers
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert set(policy.values()) == {"'none'", "'self'"}  # no unsafe-inline, no other host
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/dashboard/", "/dashboard/%2e%2e/app.py", "/dashboard/no.js"])
def test_there_is_nothing_but_these_files(report, path):
    key = {"authorization": "Bearer secret"}
    response = httpx2.get(report.url + path, headers=key)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert httpx2.get(report.url + path).status_code == 401


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_its_files_name_no_other_host(path):
    links = re.findall(r"https?://[\w.]+", path.read_text())
    assert set(links) <= {"https://ingest.example.com", "http://127.0.0.1", "http://www.w3.org"}


def test_all_of_its_modules_are_loaded_at_once(report):
    page = (FOLDER / "index.html").read_text()
    for path in FOLDER.glob("*.js"):
        assert f'="dashboard/{path.name}"' in page


def test_its_panels_and_figures_are_words_of_the_api():
    panels = (FOLDER / "panels.js").read_text()
    figures, tables = (
        re.findall(r'\bname: "(\w+)"', part) for part in panels.split("export const PANELS")
    )
    assert figures and set(figures) <= set(totals.Stats.__struct_fields__)
    assert tables and set(tables) <= set(DIMENSIONS)
