"""What earlier releases wrote is read for ever, beside what is written now.

tests/golden/v<n>/ has the data folder of a real installation of format n, made by the code of its
time: closed and torn segments, parts with duplicates and late events, a consolidated date, an
erased person, quarantine. answers.json is what that code answered over it.
"""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pyarrow.parquet as pq
import pytest

from tests.processes import DUCKDB, PROJECT, compact_once, compactor, duckdb_cli, running
from tests.report.holding import asking

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
DUCKDBS = [DUCKDB, *filter(None, [os.environ.get("DUCKDB_1_4")])]
LATE = {
    "site_id": "blog",
    "event_type": "page_view",
    "path": "/late",
    "user_id": "zoe",
    "timestamp": "2026-11-19T10:00:00Z",
}
COLUMNS_MORE = """
    weather: Annotated[str, Meta(max_length=2), Kept(Role.CODE, since=99)] | None = None
    depth_m: Annotated[int, Meta(ge=0, le=100), Kept(Role.NUMBER, since=99)] | None = None
""".lstrip("\n")


@pytest.fixture(params=VERSIONS)
def version(request, tmp_path):
    """A copy of an old data folder, and what was answered over it."""
    folder = GOLDEN / request.param
    shutil.copytree(folder / "data", tmp_path / "data")
    return tmp_path / "data", json.loads((folder / "answers.json").read_text())


def assert_answers_as_then(report, answers):
    for question, then in answers.items():
        now = httpx2.get(report.url + question)
        assert now.status_code == 200, question
        if question.startswith("/export"):
            assert rows_of(now.text, then) == rows_of(then, then), question
        else:
            assert {name: now.json()[name] for name in then} == then, question


def rows_of(export, then):
    """In any order, with the columns that there were."""
    if then.startswith("{"):
        return sorted(export.splitlines())
    table = csv.DictReader(io.StringIO(export))
    return sorted([row[name] for name in then.splitlines()[0].split(",")] for row in table)


@contextmanager
def asked_all_the_while(report, answers):
    """Every answer is right while the lake changes its format."""
    some = {q: answers[q] for q in ("/stats?site_id=blog", "/sites", "/ledger")}
    ended = threading.Event()

    def ask():
        while not ended.is_set():
            assert_answers_as_then(report, some)

    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(ask)
        try:
            yield
        finally:
            ended.set()
        asking.result()


def send(ingest, *events):
    for event in events:
        response = httpx2.post(ingest.url + "/event", json=event)
        assert response.status_code == 202, response.text


def figures(report, **parameters):
    answer = httpx2.get(report.url + "/stats", params={"site_id": "blog", **parameters}).json()
    return answer["total_views"], answer["unique_users"]


def assert_nothing_is_read_line_by_line(segments, code):
    """Six times the cost, and nothing else would tell."""
    program = """if True:
        import sys
        from pathlib import Path
        from compactor.segments import reader
        reader._read_line_by_line = None
        reader.read_segments(reader.connect(), list(map(Path, sys.argv[1:])))
    """
    subprocess.run([sys.executable, "-c", program, *map(str, segments)], cwd=code, check=True)


def count(lake, where="true"):
    glob = f"{lake}/lake/events/**/*.parquet"
    return int(
        duckdb_cli(
            f"SELECT count(*) FROM read_parquet('{glob}', union_by_name = true) WHERE {where}"
        )
    )


def test_an_old_folder_gives_its_figures_and_is_compacted_verified_and_erased(version):
    data_dir, answers = version
    with running("report", data_dir) as report:
        assert_answers_as_then(report, answers)
        with asked_all_the_while(report, answers):
            compactor("upgrade", data_dir=data_dir)
        assert_answers_as_then(report, answers)
        assert all(path.name.startswith("year=") for path in (data_dir / "lake/events").iterdir())
        compact_once(data_dir)
        assert not list((data_dir / "spool").iterdir())
        lake = {q: a for q, a in answers.items() if q != "/ledger"}
        assert_answers_as_then(report, lake)
        ledger = httpx2.get(report.url + "/ledger").json()
        assert ledger["balanced"] and ledger["accepted"] == answers["/ledger"]["accepted"]
        assert "0 findings" in compactor("verify", data_dir=data_dir)
        compactor("erase", "--site", "blog", "--user", "bob", "--wait-s", "0", data_dir=data_dir)
        assert count(data_dir, "site_id = 'blog' AND user_id = 'bob'") == 0
        assert httpx2.get(report.url + "/ledger").json()["balanced"]
    assert "0 findings" in compactor("verify", data_dir=data_dir)
    view = data_dir / "lake.duckdb"
    for command in DUCKDBS:  # every column, though no part may have them all
        sql = "select count(*) from events where country = 'DE' or country is null"
        assert duckdb_cli(sql, database=view, command=command) == str(count(data_dir))


def test_old_parts_that_are_too_large_for_memory_are_asked_where_they_are(version, monkeypatch):
    monkeypatch.setattr("report.snapshot.site_rows.SITE_ROWS_MAX", 0)
    data_dir, answers = version
    with asking(data_dir) as client:
        for question, then in answers.items():
            if question.startswith("/stats"):
                now = client.get(question).json()
                assert {name: now.get(name) for name in then} == then, question


@pytest.fixture(scope="module")
def next_release(tmp_path_factory):
    """The code as it is, with two columns more in the table of columns."""
    code = tmp_path_factory.mktemp("code")
    for stage in ("ingest", "compactor", "report"):
        shutil.copytree(PROJECT / stage, code / stage)
    event = code / "ingest" / "event.py"
    text = event.read_text()
    last = next(line for line in text.splitlines(True) if line.startswith("    props: "))
    event.write_text(text.replace(last, last + COLUMNS_MORE))
    return code


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]], indirect=True)
def test_a_column_that_is_added_to_the_table_is_all_that_a_column_takes(version, next_release):
    data_dir, answers = version
    lake = {q: a for q, a in answers.items() if q.startswith(("/stats", "/sites"))}
    with (
        running("ingest", data_dir, code=next_release) as ingest,
        running("report", data_dir, code=next_release) as report,
    ):
        assert_answers_as_then(report, lake)  # old parts, old segments
        views, users = figures(report)
        send(ingest, {**LATE, "weather": "ok", "depth_m": 70}, *[LATE] * 19)
        assert figures(report) == (views + 20, users + 1)
        rows = httpx2.get(report.url + "/export", params={"site_id": "blog"}).text.splitlines()
        new = [row for row in map(json.loads, rows) if row.get("weather")]
        assert [(row["weather"], row["depth_m"]) for row in new] == [("ok", 70)]
        ingest.stop()
        assert_nothing_is_read_line_by_line(
            sorted((data_dir / "spool").glob("*.jsonl")), next_release
        )
        compact_once(data_dir, code=next_release)
        assert figures(report) == (views + 20, users + 1)  # old parts beside new ones
        parts = sorted((data_dir / "lake" / "events" / "year=2026").glob("*.parquet"))
        schemas = {part.name: set(pq.read_schema(part).names) for part in parts}
        of_date = [n for n in schemas if n[:10] <= LATE["timestamp"][:10] <= n[11:21]]
        assert len(of_date) == 1  # an old part and a new one have become one
        assert "weather" in schemas[of_date[0]]
        rows = httpx2.get(report.url + "/export", params={"site_id": "blog"}).text.splitlines()
        assert sum("weather" in json.loads(row) for row in rows) == 1
        assert count(data_dir, "weather = 'ok' AND depth_m = 70") == 1
        said = compactor("verify", data_dir=data_dir, code=next_release)
        assert "0 findings" in said
        erase = ("erase", "--site", "blog", "--user", "ann", "--wait-s", "0")
        compactor(*erase, data_dir=data_dir, code=next_release)
        said = compactor("verify", data_dir=data_dir, code=next_release)
        assert "0 findings" in said
