"""GET /ready, which is open to all: what it costs, and what it tells."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from report.engine import readiness
from report.snapshot.snapshot import Snapshots
from tests.report.holding import Folder, asking, event


@pytest.fixture
def looks(monkeypatch):
    """One for each look at all dates of the lake."""
    made = []
    take = Snapshots.take
    monkeypatch.setattr(
        Snapshots, "take", lambda *arguments: made.append(arguments) or take(*arguments)
    )
    return made


def test_all_who_ask_within_a_second_share_one_look(tmp_path, monkeypatch, looks):
    monkeypatch.setattr(readiness, "INTERVAL_S", 60, raising=False)
    Folder(tmp_path).holds(event())
    with asking(tmp_path) as client, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(client.get, ["/ready"] * 40))
        assert {answer.status_code for answer in answers} == {200}
    assert len(looks) == 1


def test_trouble_is_shared_and_ends(tmp_path, monkeypatch, looks):
    Folder(tmp_path).holds(event())
    events = tmp_path / "lake" / "events"
    with asking(tmp_path) as client:
        monkeypatch.setattr(readiness, "INTERVAL_S", 60)
        events.rename(tmp_path / "events")
        events.symlink_to(events)  # whoever looks gets ELOOP
        for _ in range(2):
            assert client.get("/ready").json()["code"] == "lake_unavailable"
        events.unlink()
        (tmp_path / "events").rename(events)
        assert client.get("/ready").status_code == 503
        monkeypatch.setattr(readiness, "INTERVAL_S", 0)
        assert client.get("/ready").status_code == 200
    assert len(looks) == 2


def test_names_of_files_are_told_to_who_has_the_token_alone(tmp_path):
    folder = Folder(tmp_path)
    folder.holds(event())
    (tmp_path / "lake" / "events" / "customers-of-acme.csv").touch()
    with asking(tmp_path, token="secret") as client:
        told = client.get("/ready")
        assert (told.status_code, told.json()) == (200, {"status": "ready", "left_out": 1})
        headers = {"authorization": "Bearer secret"}
        [left_out] = client.get("/ledger", headers=headers).json()["left_out"]
        assert left_out["file"] == "customers-of-acme.csv"
