"""The README and its pages are true: settings, codes, links, and lines to type."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx2
import msgspec
import pytest

from ingest.refusal import STATUS as INGEST_STATUS
from report.problem import STATUS as REPORT_STATUS
from tests.processes import PROJECT, compact_once, running

PAGES = [PROJECT / "README.md", PROJECT / "data" / "README.md", *(PROJECT / "docs").glob("*.md")]
API = (PROJECT / "docs" / "api.md").read_text()


def section(page, title):
    parts = re.split(r"^## ", (PROJECT / page).read_text(), flags=re.M)
    return next(part for part in parts if part.startswith(f"{title}\n"))


def table_of(text):
    """The cells of each row of a table, without their backquotes."""
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows]


def test_every_setting_stands_in_the_table_with_its_default_and_no_other():
    settings = {}
    for stage in ("ingest", "compactor", "report"):
        struct = importlib.import_module(f"{stage}.settings").Settings
        _, components = msgspec.json.schema_components([struct])
        for name, schema in components["Settings"]["properties"].items():
            settings[name] = [name, str(schema["default"]), schema["description"]]
    assert sorted(table_of(section("docs/operating.md", "Settings"))) == sorted(settings.values())


@pytest.mark.parametrize("statuses", [INGEST_STATUS, REPORT_STATUS], ids=["ingest", "report"])
def test_every_error_code_stands_in_the_table_with_its_status(statuses):
    for code, status in statuses.items():
        assert f"| `{code}` | {int(status)} |" in API


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_what_a_page_links_to_is_there(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_where_things_go_names_files_that_there_are():
    for place in re.findall(r"`([\w/]+(?:\.\w+|/))`", section("README.md", "Where things go")):
        assert any(PROJECT.glob(place if "/" in place else f"*/*/{place}")), place


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with data/ in it, where the lines of the README can be typed."""
    folder = tmp_path_factory.mktemp("project")
    data_dir = folder / "data"
    data_dir.mkdir()
    event = {"site_id": "blog", "event_type": "page_view", "props": {"plan": "pro"}}
    for compact in (True, False):
        with running("ingest", data_dir) as ingest:
            assert httpx2.post(ingest.url + "/event", json=event).status_code == 202
            assert ingest.stop() == 0
        if compact:
            compact_once(data_dir)
    return folder


def shell_lines():
    listed = re.search(r"```sh\n(.*?)```", section("README.md", "For analysts"), re.S)[
        1
    ].splitlines()
    indented = re.findall(r"^    (duckdb .*)$", (PROJECT / "data" / "README.md").read_text(), re.M)
    return [*listed, *(line for line in indented if "quarantine" not in line)]


@pytest.mark.parametrize("line", shell_lines())
def test_what_an_analyst_is_told_to_type_works(project, line):
    command = shlex.split(line)
    command[0] = str(Path(sys.executable).parent / "duckdb")
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
