"""Retention: what moves out, what a wrong clock may do, and how it is undone."""

from datetime import date, timedelta

import pytest

from tests.compactor.folder import Folder, line
from tests.compactor.test_commands import compactor

DAYS = [f"2026-11-{day}" for day in range(10, 20)]


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path, retention_days=30)
    for day in DAYS:
        folder.now = f"{day}T12:00:00"
        folder.segment(
            line(f"/{day}", at=f"{day}T11:00:00Z", id="1"),
            line("/again", at=f"{day}T11:00:00Z", id="1", user="eve"),
        )
        folder.turn()
    return folder


def dates(folder):
    return [str(day) for day in folder.lake.dates()]


def expired(folder):
    paths = folder.path.glob("expired/year=*/*.parquet")
    return sorted(day for path in paths for day in days_between(path.name[:10], path.name[11:21]))


def days_between(first, last):
    first, last = date.fromisoformat(first), date.fromisoformat(last)
    return [str(first + timedelta(days=n)) for n in range((last - first).days + 1)]


@pytest.mark.parametrize(
    "events_meanwhile", [False, True], ids=["nothing arrived", "events arrived by that clock"]
)
def test_a_clock_that_is_ahead_for_one_turn_moves_nothing_out(folder, caplog, events_meanwhile):
    folder.now = "2028-11-20T12:00:00"
    if events_meanwhile:
        folder.segment(line("/then", at="2028-11-20T11:00:00Z"))
    passes = folder.passes()
    passes.turn(everything=True)
    passes.turn(everything=True)
    assert dates(folder)[:10] == DAYS
    assert expired(folder) == []
    (told,) = [message for message in caplog.messages if "no date is moved out" in message]
    assert "2028-11-20" in told


def test_dates_that_are_past_their_retention_move_out_one_by_one(folder):
    folder.now = "2026-12-11T12:00:00"
    folder.segment(line("/today", at="2026-12-11T11:00:00Z"))
    folder.turn()
    assert expired(folder) == DAYS[:2]


def test_what_moved_out_wrongly_comes_back(folder):
    before, kept = folder.rows(), folder.set_aside()
    folder.passes().expire(date(2026, 11, 19))
    folder.segment(line("/new", at="2026-11-19T20:00:00Z"))
    folder.turn()
    assert folder.rows() == [("/new",)]
    assert folder.set_aside() == ""
    told = compactor(folder, "expire", "--undo", COMPACTOR_RETENTION_DAYS="400")
    assert "moved back 2026-11-10 to 2026-11-18" in told and "2 parts" in told
    assert folder.rows() == sorted([*before, ("/new",)])
    assert folder.set_aside() == kept
    assert expired(folder) == []
    assert "0 findings" in compactor(folder, "verify")


def test_a_date_with_events_that_were_sent_again_does_not_come_back(folder):
    (day, *_) = folder.lake.dates()
    assert folder.passes().expire(day) == [day]
    (part,) = (folder.path / "expired").rglob("*.parquet")
    moved = part.rename(folder.path / part.name)  # archived elsewhere, so it is not known
    folder.segment(line("/again", at=f"{day}T11:00:00Z", id="1"))
    folder.turn()
    moved.rename(part)
    told = compactor(folder, "expire", "--undo", status=1)
    assert f"stays out: {day} to {day}" in told
    assert folder.rows("path", f"date = '{day}'") == [("/again",)]


def test_importing_again_what_moved_out_adds_nothing(folder):
    folder.now = "2026-12-25T12:00:00"
    recent = [line("/recent", at=f"2026-12-{day}T11:00:00Z", id="1") for day in (22, 25)]
    for _ in range(3):
        folder.segment(*(line(f"/{d}", at=f"{d}T11:00:00Z", id="1") for d in DAYS), *recent)
        folder.turn()
        folder.turn()
    assert expired(folder) == DAYS
    assert len(folder.rows(folder=folder.path / "expired")) == len(DAYS)


def test_quarantine_moves_out_with_its_date(folder):
    folder.segment(line("/x"), b'{"site_id":"shop","user_id":"eve"\n')
    folder.segment(line("/y"), b'{"torn', state="open")
    folder.turn()
    assert "eve" in folder.set_aside() and "torn" in folder.set_aside()
    folder.now = "2027-01-10T12:00:00"
    folder.segment(*(line(at=f"2027-01-{day}T11:00:00Z") for day in ("08", "10")))
    folder.turn()
    assert folder.set_aside() == ""
    assert len(list(folder.path.glob("expired/*/quarantine/*"))) == 12


def test_what_is_too_old_for_its_site_is_erased_and_stays_counted(tmp_path):
    sites = tmp_path / "sites.toml"
    sites.write_text("[shop]\nretention_days = 30\n[blog]\n[news]\nretention_days = 32\n")
    names = ("shop", "blog", "news")
    (tmp_path / "data").mkdir()
    folder = Folder(tmp_path / "data", sites=str(sites))
    for day in DAYS:
        folder.now = f"{day}T12:00:00"
        at = f"{day}T11:00:00Z"
        folder.segment(*(line(f"/{day}", site, at, id="1") for site in names * 2))
        folder.turn()
    folder.now = "2026-12-13T12:00:00"
    folder.turn()
    kept = {site: len(folder.rows(where=f"site_id = '{site}'")) for site in names}
    assert kept == {"shop": 6, "blog": 10, "news": 8}
    totals = [footer.total for footer in folder.footers()]
    assert [(t.rows, t.erased, t.duplicates) for t in totals] == [(24, 6, 30)]
    assert folder.set_aside().count('"erased":true') == 6
    assert "0 findings" in compactor(folder, "verify")
    before = folder.parts()
    folder.turn()
    assert folder.parts() == before


def test_settling_by_a_clock_that_is_ahead_does_not_make_it_believed(tmp_path):
    folder = Folder(tmp_path, now="2026-11-10T12:00:00", retention_days=30)
    folder.segment(line("/1", at="2026-11-10T11:00:00Z"))
    folder.turn()
    folder.now = "2028-11-20T12:00:00"
    for _ in range(3):
        folder.turn()
    assert not [name for name in folder.parts() if "recent" in name], "it has settled"
    assert (folder.rows(), expired(folder)) == ([("/1",)], [])


def test_a_spool_that_is_put_back_brings_nothing_back_that_moved_out(tmp_path):
    folder = Folder(tmp_path, now="2026-11-20T12:00:00", retention_days=30)
    days = ("2026-11-10", "2026-11-18")
    segment = folder.segment(*(line(f"/{day}", at=f"{day}T11:00:00Z") for day in days))
    content = segment.read_bytes()
    folder.turn()
    folder.passes().expire(date(2026, 11, 10))
    segment.write_bytes(content)
    folder.turn()
    assert (folder.rows(), segment.exists()) == ([("/2026-11-18",)], False)
