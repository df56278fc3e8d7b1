"""Raw events as a stream: what it holds, what it costs, and what it gives back."""

import ctypes
import errno
import json
import os
import subprocess
import sys
from datetime import timedelta

import anyio
import duckdb
import httpx2
import pytest

from report.http.stream import Pieces, Stream
from report.questions import export
from report.snapshot import site_rows
from report.snapshot.lake_listing import LakeListing
from tests.processes import Stage
from tests.report.holding import NOW, Folder, asking, event, figures
from tests.report.test_lake import exchange

DROP_FROM_BOUNDING_SET = 24  # prctl(2)
CAP_CHOWN_TO_FOWNER = range(4)  # CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_its_place_is_given_back_before_its_end_is_sent():
    order = []

    async def send(message):
        order.append("more" if message.get("more_body") else message["type"])

    async def stream():
        with duckdb.connect() as cursor:
            pieces = Pieces(
                iter([b"more"]), cursor, 1.0, lambda: None, lambda: order.append("left")
            )
            await Stream(b"first", pieces, {}, "text/plain")({}, anyio.sleep_forever, send)

    anyio.run(stream)
    assert order[-2:] == ["left", "http.response.body"]


@pytest.mark.parametrize("rows_max", [0, 100_000], ids=["in parts", "in memory"])
def test_it_asks_for_those_dates_alone_that_have_rows_of_its_site(folder, monkeypatch, rows_max):
    monkeypatch.setattr(site_rows, "SITE_ROWS_MAX", rows_max)
    days = [NOW - timedelta(days=n) for n in range(20)]
    folder.holds(*(event(day) for day in days), event(days[3], site_id="shop"))
    folder.holds(event(days[5], site_id="shop"), where="open")
    asked = []
    of_date = export.events
    monkeypatch.setattr(export, "events", lambda *args: asked.append(args) or of_date(*args))
    with asking(folder.path) as client:
        for site, dates in (("nobody", 0), ("shop", 2), ("blog", 20)):
            asked.clear()
            lines = client.get("/export", params={"site_id": site}).content.splitlines()
            assert len(lines) == dates
            assert sorted(lines, key=lambda each: json.loads(each)["timestamp"]) == lines
            assert len(asked) <= (1 if rows_max else dates or 1)


def no_capabilities():
    """As a user has them who is not the owner: for what this process executes next."""
    for capability in CAP_CHOWN_TO_FOWNER:
        assert ctypes.CDLL(None).prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0) == 0


MAIN = """
import sys
from report import __main__
from report.snapshot import site_rows
site_rows.SITE_ROWS_MAX = 0  # so that parts are read
sys.argv = ["report"]
sys.exit(__main__.main())
"""


@pytest.fixture
def report_of_another_user(folder, monkeypatch):
    if os.geteuid():
        pytest.skip("needs root, to have files of two users")
    folder.holds(*(event(NOW - timedelta(days=n)) for n in range(3)))
    for path in folder.path.glob("lake/events/*/*.parquet"):
        path.chmod(0o640)
        os.chown(path, 1, 0)
    popen = subprocess.Popen

    def start(command, **where):
        return popen([sys.executable, "-c", MAIN], **where, preexec_fn=no_capabilities)

    monkeypatch.setattr(subprocess, "Popen", start)
    report = Stage("report", folder.path)
    yield report.wait_until_up()
    report.kill()


def test_it_can_be_had_where_parts_belong_to_another_user(report_of_another_user):
    told = httpx2.get(report_of_another_user.url + "/export?site_id=blog")
    assert told.status_code == 200, told.text
    assert len(told.content.splitlines()) == 3


def refuse_links(monkeypatch):
    """As the kernel does, of files that are another user's."""

    def link(source, target):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("may_link", [True, False])
def test_it_holds_what_is_taken_away_before_it_is_read(folder, monkeypatch, may_link):
    folder.holds(*(event(NOW - timedelta(days=n)) for n in range(3)))
    monkeypatch.setattr(site_rows, "SITE_ROWS_MAX", 0)
    if not may_link:
        refuse_links(monkeypatch)
    batches = export._batches

    def after_retention(*arguments):
        subprocess.run(["rm", "-r", folder.path / "lake"], check=True)
        yield from batches(*arguments)

    monkeypatch.setattr(export, "_batches", after_retention)
    with asking(folder.path) as client:
        before = len(os.listdir("/proc/self/fd"))
        assert len(client.get("/export?site_id=blog").content.splitlines()) == 3
        assert len(os.listdir("/proc/self/fd")) <= before
        assert list((folder.path / "tmp").glob("*/pinned-*")) == []


@pytest.mark.parametrize("may_link", [True, False])
def test_a_question_holds_parts_once_some_have_vanished(folder, monkeypatch, may_link):
    days = [NOW - timedelta(days=n) for n in range(4)]
    for day in days:
        folder.holds(event(day))
    monkeypatch.setattr(site_rows, "SITE_ROWS_MAX", 0)
    if not may_link:
        refuse_links(monkeypatch)
    vanish = list(days)
    of = LakeListing.of

    def of_and_vanish(listing, *arguments):
        found = of(listing, *arguments)
        if vanish:
            exchange(folder, vanish.pop())
        return found

    monkeypatch.setattr(LakeListing, "of", of_and_vanish)
    with asking(folder.path) as client:
        assert figures(client, "/stats", site_id="blog")["total_views"] == 4
