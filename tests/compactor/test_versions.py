"""A lake of a newer Footfall is refused whole: nothing of it is half read, and nothing changed."""

import shutil

import httpx2
import msgspec
import pyarrow.parquet as pq
import pytest

from compactor.lake.columns import FORMAT_VERSION
from compactor.lake.footer import FOOTER_KEY
from tests.compactor.folder import Folder, line
from tests.compactor.test_commands import compactor
from tests.processes import running, wait_for


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    for year in (2025, 2026):
        folder.segment(line(f"/{year}", at=f"{year}-11-21T07:00:00Z"))
        folder.turn()
    return folder


def make_newer(path):
    """As a format would be whose footers this release cannot even decode."""
    with pq.ParquetFile(path) as file:
        rows = file.read()
    with pq.ParquetWriter(path, rows.schema) as writer:
        writer.write_table(rows)
        footer = {"version": FORMAT_VERSION + 1, "segments": "otherwise"}
        writer.add_key_value_metadata({FOOTER_KEY: msgspec.json.encode(footer)})


def the_part(folder, year):
    (path,) = folder.files(f"{year}-11-21")
    return path


@pytest.mark.parametrize("year", [2026, 2025], ids=["its newest part", "another one"])
@pytest.mark.parametrize("command", [["--once"], ["verify"], ["erase", "--site", "shop"]])
def test_the_compactor_says_so_in_one_line_and_changes_nothing(folder, year, command):
    path = the_part(folder, year)
    make_newer(path)
    folder.segment(line("/late", at=f"{year}-11-21T08:00:00Z"))
    before = folder.parts(), path.read_bytes()
    *_, told = compactor(folder, *command, status=1).splitlines()
    assert told.startswith("compactor: ")
    assert "newer Footfall" in told and path.name in told
    assert (folder.parts(), path.read_bytes()) == before
    assert len(list(folder.spool.iterdir())) == 1


def test_a_running_compactor_ends(folder):
    with running("compactor", folder.path, poll_interval_s=0.05, pass_age_s_max=0.1) as stage:
        old = the_part(folder, 2025)
        newer = old.with_name(old.name.replace("-00000", "-90000"))
        shutil.copy(old, newer)
        make_newer(newer)
        folder.segment(line("/late", at="2025-11-21T08:00:00Z"))
        wait_for(lambda: stage.process.poll() == 1, "its end")
        assert "newer Footfall" in stage.log.read_text()


def test_report_answers_503_with_a_code(folder):
    make_newer(the_part(folder, 2025))
    with running("report", folder.path) as report:
        for path in ("/stats?site_id=shop", "/ready", "/ledger"):
            answer = httpx2.get(report.url + path)
            assert (answer.status_code, answer.json()["code"]) == (503, "lake_too_new"), path
        own = httpx2.get(report.url + "/stats?site_id=shop&date=2026-11-21")
        assert own.status_code == 200, "of dates that no newer part is of"
