"""A clock that jumps by a day, in either direction, under every process: libfaketime's."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from tests.processes import compact_once, running, stats, wait_for

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
EVENT = {"site_id": "a", "event_type": "page_view"}


@pytest.fixture
def set_clock(tmp_path, monkeypatch):
    """Sets the clock of every process so many days ahead."""
    if LIBRARY is None:
        pytest.skip("needs libfaketime")
    file = tmp_path / "clock"
    monkeypatch.setenv("LD_PRELOAD", str(LIBRARY))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")

    def set_to(days):
        file.write_text(f"{days:+d}d")

    set_to(0)
    return set_to


def test_a_clock_that_jumps_a_day_is_told_in_a_line_and_costs_no_event(tmp_path, set_clock):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    today = datetime.now(UTC).date()
    with running("ingest", data_dir, segment_age_s_max=0.2) as ingest:
        for days, told in ((0, ""), (1, "ahead by 86400 s"), (-1, "back by 172800 s")):
            set_clock(days)
            wait_for(lambda told=told: told in ingest.log.read_text(), "a line of the jump")
            answers = [
                httpx2.post(ingest.url + "/event?visitor=daily", json=EVENT) for _ in range(3)
            ]
            assert [answer.status_code for answer in answers] == [202] * 3
            if days == 1:
                compact_once(data_dir)
        assert ingest.stop() == 0
        log = ingest.log.read_text()
    assert log.count("the clock went") == 2 and "Traceback" not in log
    with running("report", data_dir) as report:
        ledger = httpx2.get(report.url + "/ledger").json()
        assert (ledger["accepted"], ledger["balanced"]) == (9, True)
        assert ledger["lake"] > 0 and ledger["spool"] > 0
        for days in (-1, 0, 1):
            date = (today + timedelta(days)).isoformat()
            assert stats(report, "a", date=date, bots="include")["total_views"] == 3
