"""The lake as report finds it: missing, foreign, torn, damaged, or changing under a question."""

import os
import shutil
import subprocess
import sys
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compactor.lake.store import open_store
from report.snapshot import site_rows
from report.snapshot.lake_listing import LakeListing
from report.snapshot.spool_tail import SpoolTail
from report.terms.period import Dates
from tests.processes import PROJECT, clean_environment
from tests.report.holding import NOW, Folder, asking, event, figures, line


def views(client, **asked):
    return figures(client, "/stats", site_id="blog", **asked)["total_views"]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def year_folder(folder, day=NOW):
    return folder.path / "lake" / "events" / f"year={day:%Y}"


def part_of(folder, day):
    """The one file that begins with this date."""
    [part] = year_folder(folder, day).glob(f"{day:%Y-%m-%d}_*")
    return part


def test_a_lake_that_is_written_for_the_first_time_is_seen(folder):
    shutil.rmtree(folder.spool)
    with asking(folder.path) as client:
        assert views(client) == 0
        assert client.get("/ready").status_code == 200
        assert figures(client, "/ledger")["accepted"] == 0
        assert figures(client, "/sites")["rows"] == []
        folder.spool.mkdir()
        folder.holds(event())
        assert views(client) == views(client, date="2025-11-12") == 1


def name_of(n):
    return f"2025-11-12_2025-11-12-{n:013}-bbbbbbbb-000001.recent.parquet"


FOREIGN = {
    "notes.txt": b"hello",
    name_of(1)[22:]: b"",
    name_of(1): b"",
    name_of(2): b"PAR1" + b"\xff" * 100 + b"PAR1",
    name_of(3): None,  # Parquet, and not ours
    name_of(4).replace("2025", "2024"): b"",  # not of this year
}


def test_what_is_no_part_is_named_and_does_no_harm(folder, caplog):
    folder.holds(event())
    for name, content in FOREIGN.items():
        path = year_folder(folder) / name
        if content is None:
            pq.write_table(pa.table({"a": [1]}), path)
        else:
            path.write_bytes(content)
    whole = next(path for path in year_folder(folder).iterdir() if path.name not in FOREIGN)
    (year_folder(folder) / name_of(5)).write_bytes(whole.read_bytes()[:-40])
    (year_folder(folder) / name_of(6)).mkdir()
    events = folder.path / "lake" / "events"
    (events / "date=2025-02-30").mkdir()
    (events / "date=2025-11-12").mkdir()  # an old copy that somebody put back
    shutil.copy(whole, events / "date=2025-11-12" / name_of(7)[22:].replace(".recent", ""))
    with asking(folder.path) as client:
        for _ in range(3):
            assert views(client) == views(client, date="2025-11-12") == 1
            assert figures(client, "/ledger")["balanced"]
        foreign = {each["file"] for each in figures(client, "/ledger")["left_out"]}
        year = "year=2025/"
        names = {*FOREIGN, name_of(5), name_of(6)}
        assert foreign == {year + name for name in names} | {"date=2025-02-30", "date=2025-11-12"}
        for name in foreign:
            assert sum(name in record.message.split() for record in caplog.records) == 1
        (year_folder(folder) / "notes.txt").unlink()
        assert year + "notes.txt" not in str(figures(client, "/ledger"))
        (year_folder(folder) / name_of(5)).unlink()
        shutil.copy(whole, year_folder(folder) / name_of(5))  # mended
        assert views(client) == 2
        assert year + name_of(5) not in str(figures(client, "/ledger"))


def damage_pages(part):
    content = bytearray(part.read_bytes())
    content[4 : len(content) // 2] = os.urandom(len(content) // 2 - 4)
    part.write_bytes(content)


def test_a_part_with_a_damaged_page_is_not_silently_left_out(folder):
    folder.holds(*(event(path=f"/{n}") for n in range(1_000)))
    part = part_of(folder, NOW)
    damage_pages(part)
    with asking(folder.path) as client:
        told = client.get("/stats?site_id=blog")
        assert (told.status_code, told.json()["code"]) == (503, "lake_unavailable")
        assert client.get("/health").status_code == 200


def test_a_part_that_cannot_be_read_is_not_silently_left_out(folder, monkeypatch):
    folder.holds(event())
    part = part_of(folder, NOW)
    part.rename(part.with_name("x"))
    part.symlink_to(part.name)  # whoever opens it gets ELOOP
    with asking(folder.path) as client:
        told = client.get("/stats?site_id=blog")
        assert (told.status_code, told.json()["code"]) == (503, "lake_unavailable")


def exchange(folder, day):
    """Exchange a year's folder for one in which that date's rows have another part."""
    source, part = year_folder(folder, day), part_of(folder, day)
    target = source.with_name("staged")
    shutil.copytree(source, target)
    dates, created, rest = part.name[:21], part.name[22:35], part.name[35:]
    shutil.copy(part, target / f"{dates}-{int(created) + 1:013d}{rest}")
    (target / part.name).unlink()
    old = folder.path / "old"
    source.rename(old)
    target.rename(source)
    shutil.rmtree(old)


def test_parts_that_vanish_one_after_the_other_change_nothing(folder, monkeypatch):
    days = [NOW - timedelta(days=n) for n in range(12)]
    for day in days:
        folder.holds(event(day))
    with asking(folder.path) as client:
        take = LakeListing.of
        vanish = list(days)

        def of(parts, *arguments):
            found = take(parts, *arguments)
            if vanish:
                exchange(folder, vanish.pop())  # listed, and gone when DuckDB opens it
            return found

        monkeypatch.setattr(LakeListing, "of", of)
        assert views(client) == 12
        assert views(client, limit=3) == 12
        assert figures(client, "/ledger")["lake"] == 12
        assert vanish
        assert list((folder.path / "tmp").glob("*/pinned-*")) == []


def test_a_year_that_vanishes_while_it_is_listed_is_listed_again(folder, monkeypatch):
    days = [NOW.replace(year=2025 - n) for n in range(12)]
    folder.holds(*(event(day) for day in days))
    find = LakeListing._find
    left = {day.year: day for day in days}

    def found_late(parts, part):
        if part.first.year in left:
            exchange(folder, left.pop(part.first.year))
        return find(parts, part)

    monkeypatch.setattr(LakeListing, "_find", found_late)
    with asking(folder.path) as client:
        assert views(client) == 12
    assert not left


def test_an_export_is_what_there_was_when_it_began(folder):
    days = [NOW - timedelta(days=n) for n in range(3)]
    folder.holds(*(event(day) for day in days))
    with asking(folder.path) as client:
        from report.questions import export

        batches = export._batches
        with pytest.MonkeyPatch.context() as patch:

            def after_retention(*arguments):
                shutil.rmtree(folder.path / "lake")
                yield from batches(*arguments)

            patch.setattr(export, "_batches", after_retention)
            assert len(client.get("/export?site_id=blog").content.splitlines()) == 3
        assert list((folder.path / "tmp").glob("*/pinned-*")) == []


def test_listings_follow_every_change_of_a_folder(folder):
    parts = LakeListing(open_store(folder.path))
    day = NOW.date()
    for expected in range(1, 6):
        folder.holds(event())
        assert len(parts.of(Dates())) == len(parts.of(Dates(day, day))) == expected
    [*_, newest] = sorted(year_folder(folder).iterdir())
    newest.unlink()
    assert len(parts.of(Dates())) == 4


def test_a_listing_is_kept_while_its_folder_rests(folder, monkeypatch):
    folder.holds(event())
    for rests in (year_folder(folder), year_folder(folder).parent):
        os.utime(rests, (1, 1))
    parts = LakeListing(open_store(folder.path))
    day = Dates(date(2025, 11, 12), date(2025, 11, 12))
    found = parts.of(day)
    monkeypatch.setattr(os, "listdir", lambda path: pytest.fail("listed again"))
    assert parts.of(day) == found


def test_rows_of_a_small_site_are_read_from_a_part_once(folder, monkeypatch):
    days = [NOW - timedelta(days=n) for n in range(3)]
    folder.holds(*(event(day, event_id=str(n)) for n, day in enumerate(days)))
    reads = []
    read = site_rows._read
    monkeypatch.setattr(site_rows, "_read", lambda *args: reads.append(args[-1]) or read(*args))
    with asking(folder.path) as client:
        assert views(client, date="2025-11-12") == 1
        assert views(client) == views(client, limit=3) == 3
        folder.holds(event(days[0], event_id="0"), event(days[0]), where="open")
        assert views(client) == 4
        exchange(folder, days[0])
        assert views(client) == views(client, limit=4) == 4
        assert views(client, date="2025-11-12") == 2
    assert [len(parts) for parts in reads] == [1, 1, 1]


def test_rows_of_a_large_site_stay_in_their_parts(folder, monkeypatch):
    monkeypatch.setattr(site_rows, "SITE_ROWS_MAX", 10)
    days = [NOW - timedelta(days=n) for n in range(3)]
    folder.holds(*(event(day) for day in days for _ in range(5)))
    with asking(folder.path) as client:
        assert views(client) == views(client, limit=3) == 15
        assert views(client, date="2025-11-12") == 5
        assert views(client, **{"from": "2025-11-11"}) == 10
        assert views(client, limit=4) == 15


def test_parts_with_few_rows_are_kept_in_memory_beside_those_with_many(folder, monkeypatch):
    monkeypatch.setattr(site_rows, "SITE_ROWS_MAX", 10)
    before = NOW - timedelta(days=3)
    folder.holds(*(event(before, event_id=str(n)) for n in range(50)))
    folder.settle()
    reads = []
    read = site_rows._rows_in
    monkeypatch.setattr(
        site_rows, "_rows_in", lambda *args: reads.append(len(args[1])) or read(*args)
    )
    with asking(folder.path) as client:
        for n in range(3):
            folder.holds(event(before, path=f"/{n}"), event(NOW, event_id=str(n)))
            folder.holds(event(before, event_id="7"), event(NOW, event_id="0"))
            assert views(client) == 50 + 2 * (n + 1)
            assert views(client, date=before.date()) == 50 + n + 1
            lines = client.get("/export", params={"site_id": "blog"}).content.splitlines()
            assert len(lines) == 50 + 2 * (n + 1)
        folder.holds(event(before, event_id="7"), event(before, event_id="x"), where="open")
        assert views(client) == 50 + 2 * 3 + 1
        assert figures(client, "/ledger")["balanced"]
    assert sum(reads) == 3 * 4  # each once, and the settled part is never among them


def test_a_change_within_the_tick_of_the_clock_that_stamps_it_is_seen(folder):
    folder.holds(event())
    parts = LakeListing(open_store(folder.path))
    day = Dates(NOW.date(), NOW.date())
    stamp = year_folder(folder).stat().st_mtime_ns
    assert len(parts.of(day)) == 1
    folder.holds(event())
    os.utime(year_folder(folder), ns=(stamp, stamp))
    assert len(parts.of(day)) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_pass_beside_the_look_at_the_spool_neither_hides_nor_doubles(folder, monkeypatch, when):
    look = SpoolTail.refresh
    waiting = []

    def compact():
        if waiting:
            folder.compact(waiting.pop())

    def refresh(live):
        if when == "before":
            compact()
        seen = look(live)
        compact()
        return seen

    with asking(folder.path) as client:
        monkeypatch.setattr(SpoolTail, "refresh", refresh)
        for expected in range(1, 4):
            waiting.append(folder.segment([line(event(event_id=str(expected)))]))
            assert views(client) == expected
            assert figures(client, "/ledger")["accepted"] == expected


@pytest.mark.parametrize("spool_rows_bytes_max", [0, 1 << 20])
def test_a_segment_counts_for_the_dates_that_no_part_has_of_it(folder, spool_rows_bytes_max):
    days = [NOW - timedelta(days=n) for n in range(3)]
    name = folder.segment([line(event(day, user_id=str(n))) for n, day in enumerate(days)])
    content = (folder.spool / str(name)).read_bytes()
    folder.compact(name)
    # as if the compactor had died before the last date, and before it released the segment
    (folder.spool / str(name)).write_bytes(content)
    part_of(folder, days[0]).unlink()
    with asking(folder.path, spool_rows_bytes_max=spool_rows_bytes_max) as client:
        told = figures(client, "/stats", site_id="blog")
        assert (told["total_views"], told["unique_users"]) == (3, 3)
        for day in days:
            assert views(client, date=day.date()) == 1
        ledger = figures(client, "/ledger")
        assert (ledger["lake"], ledger["spool"], ledger["accepted"]) == (2, 1, 3)
        assert ledger["lag_bytes"] == len(content)
        assert figures(client, "/sites")["rows"][0]["events"] == 3
        assert len(client.get("/export?site_id=blog").content.splitlines()) == 3


def test_the_ledger_is_balanced_after_an_erasure(folder):
    folder.holds(event(user_id="ann"), event(user_id="bob"))
    subprocess.run(
        [sys.executable, "-m", "compactor", "erase", "--site=blog", "--user=ann"],
        cwd=PROJECT,
        env=clean_environment() | {"DATA_DIR": str(folder.path)},
        check=True,
        capture_output=True,
    )
    with asking(folder.path) as client:
        ledger = figures(client, "/ledger")
    assert (ledger["accepted"], ledger["lake"], ledger["erased"]) == (2, 1, 1)
    assert ledger["balanced"]
    assert ledger["sites"] == [
        {"site_id": "blog", "accepted": 2, "lake": 1, "spool": 0, "duplicates": 0, "erased": 1}
    ]


def test_a_question_opens_the_files_of_its_dates_alone(folder, monkeypatch):
    days = [NOW - timedelta(days=n) for n in (0, 1, 400)]
    for day in days:
        folder.holds(event(day))
    opened = []
    find = LakeListing._find
    monkeypatch.setattr(
        LakeListing, "_find", lambda listing, part: opened.append(part) or find(listing, part)
    )
    with asking(folder.path) as client:
        assert views(client, date=days[0].date()) == 1
        assert [part.first for part in opened] == [days[0].date()]
        for day in days[1:]:
            part_of(folder, day).write_bytes(b"")  # who opens it learns nothing from it
        assert views(client, date=days[0].date(), limit=3) == 1
        assert views(client, **{"from": days[1].date()}) == 1
        assert figures(client, "/ledger")["lake"] == 1


def test_who_asks_for_dates_of_a_settled_part_gets_these_alone(folder, monkeypatch):
    days = [NOW - timedelta(days=n) for n in range(1, 41)]
    folder.holds(*(event(day, event_id="1") for day in days))
    folder.settle()
    folder.holds(event(days[3], user_id="late"), event(days[5], event_id="1"))
    folder.holds(event(days[3], event_id="1"), event(days[7], event_id="2"), where="open")
    for rows_max in (0, 100_000):
        monkeypatch.setattr(site_rows, "SITE_ROWS_MAX", rows_max)
        with asking(folder.path) as client:
            for n in (3, 5, 7, 9):
                assert views(client, date=days[n].date()) == {3: 2, 7: 2}.get(n, 1)
            span = {"from": days[9].date(), "to": days[3].date()}
            assert views(client, **span) == 7 + 2
            lines = client.get("/export", params={"site_id": "blog", **span}).content.splitlines()
            assert len(lines) == 7 + 2
            assert views(client, **span, tz="Pacific/Kiritimati") == 7 + 1  # a date later there
            assert figures(client, "/ledger")["duplicates"] == 1
