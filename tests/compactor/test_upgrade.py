"""A lake of an older format is written anew beside itself: whatever happens, nothing is lost."""

import logging
import shutil
import subprocess
import sys
import threading

import pyarrow.parquet as pq
import pytest

import compactor.scheduler
from compactor.jobs.upgrade import NoRoom
from compactor.lake.disk import CannotExchange, Disk
from compactor.lake.footer import read_footer
from compactor.lake.listing import Lake
from compactor.lake.local import LocalStore
from compactor.lake.lock import Busy
from compactor.scheduler import Scheduler
from compactor.settings import Settings
from tests.compactor.folder import line
from tests.compactor.old_lake import (
    Ended,
    MortalDisk,
    counts_of,
    day_of,
    findings,
    old_part,
    put,
    rows_of,
    segment_of,
    upgrade_of,
)
from tests.compactor.test_unreadable import damaged_within, torn
from tests.processes import PROJECT, clean_environment, duckdb_cli, wait_for

WAITING = "1795334400000-aaaaaaaa-000009"  # a segment that is in the spool


@pytest.fixture
def old(tmp_path):
    """A data folder: two years; a date that waits for its segment; one that is not closed."""
    make(tmp_path / "data")
    return tmp_path / "data"


def make(data_dir):
    events = data_dir / "lake" / "events"
    put(events, "2025-03-01", 1, "ab", version=1)
    put(events, "2025-03-02", 2, "cd", duplicates_by_site={"shop": 1}, segments=repeated(2))
    put(events, "2026-11-19", 3, "e", segments={WAITING: [1, 1, 0, 0]})
    put(events, "2026-11-20", 4, "f")
    put(events, "2026-11-22", 5, "g")
    (data_dir / "spool").mkdir()
    (data_dir / "spool" / f"{WAITING}.jsonl").write_bytes(line("/e", at="2026-11-19T07:00:00Z"))


def repeated(name):
    """Of two rows and an event that was there already."""
    id, _ = day_of("2025-03-02", name, "")
    return {segment_of(id): [3, 2, 1, 0]}


def names(data_dir):
    events = data_dir / "lake" / "events"
    return sorted(str(path.relative_to(events)) for path in events.rglob("*") if path.is_file())


def kinds(data_dir):
    """Year, dates, and whether they are settled."""
    return [
        (part.folder.name[5:], f"{part.first:%m-%d}", f"{part.last:%m-%d}", not part.is_recent)
        for part in Lake(LocalStore(data_dir)).all_parts()
    ]


def scheduler_of(data_dir, disk=None, stop=None):
    clock = lambda: 1_795_334_400.0  # noqa: E731  2026-11-22 08:00
    settings = Settings(data_dir=str(data_dir), poll_interval_s=0.01)
    return Scheduler(settings, stop or threading.Event(), disk, clock)


def test_closed_dates_settle_and_all_others_become_recent_parts(old):
    rows, counts = rows_of(old), counts_of(old)
    assert upgrade_of(old).run()
    assert sorted(kinds(old)) == [
        ("2025", "03-01", "03-02", True),
        ("2026", "11-19", "11-19", False),
        ("2026", "11-20", "11-20", True),
        ("2026", "11-22", "11-22", False),
    ]
    assert (rows_of(old), counts_of(old)) == (rows, counts)
    assert findings(old) == ["1 lines of 2025-03-02 should be in quarantine, 0 are"]
    assert not (old / "lake" / "upgrade").exists()
    assert not upgrade_of(old).run(), "once is enough"


def test_a_segment_that_was_in_the_spool_is_not_stored_again(old):
    scheduler_of(old).turn(everything=True)
    assert [row[2] for row in rows_of(old)].count("/e") == 1
    assert not list((old / "spool").iterdir())
    assert all(is_settled for _, _, last, is_settled in kinds(old) if last != "11-22")


def test_visits_are_found(old):
    upgrade_of(old).run()
    (path,) = (old / "lake" / "events" / "year=2025").iterdir()
    rows = pq.read_table(path).select(["date", "visit", "visit_views"]).to_pylist()
    assert [(row["visit"], row["visit_views"]) for row in rows] == [(1, 2), (1, None)] * 2


def test_it_may_end_at_any_change_and_is_resumed(tmp_path):
    origin, data_dir = tmp_path / "origin", tmp_path / "data"
    put(origin / "lake" / "events", "2025-03-01", 1, "ab")
    put(origin / "lake" / "events", "2026-11-22", 2, "c")
    then = rows_of(origin), counts_of(origin)
    changes = 0
    while True:
        shutil.copytree(origin, data_dir)
        try:
            upgrade_of(data_dir, MortalDisk(changes)).run()
        except Ended:
            changes += 1
        else:
            break
        assert (rows_of(data_dir), counts_of(data_dir)) == then
        upgrade_of(data_dir, MortalDisk()).run()
        assert (rows_of(data_dir), counts_of(data_dir)) == then
        assert [name.partition("/")[0] for name in names(data_dir)] == ["year=2025", "year=2026"]
        assert not (data_dir / "lake" / "upgrade").exists()
        shutil.rmtree(data_dir)
    assert changes > 20


def ended_behind(data_dir, change):
    """An upgrade that ends before the first change that has this in its name."""
    trial = data_dir.parent / "trial"
    shutil.copytree(data_dir, trial)
    disk = MortalDisk()
    upgrade_of(trial, disk).run()
    n = next(n for n, name in enumerate(disk.changes) if change in name)
    with pytest.raises(Ended):
        upgrade_of(data_dir, MortalDisk(n)).run()


def written(disk):
    return sorted({name.partition("year=")[2][:4] for name in disk.changes if "year=" in name})


def test_a_year_that_is_whole_is_not_written_again(old):
    ended_behind(old, "lake/events/year=2026")
    disk = MortalDisk()
    upgrade_of(old, disk).run()
    assert [name for name in disk.changes if "year=2025" in name] == []
    assert len(rows_of(old)) == 7


def test_a_year_that_an_older_release_changed_meanwhile_is_written_again(old):
    ended_behind(old, "lake/events/year=2026")
    put(old / "lake" / "events", "2025-03-03", 6, "hi")
    shutil.rmtree(old / "lake" / "events" / "date=2025-03-01")  # retention, say
    rows = rows_of(old)
    upgrade_of(old).run()
    assert rows_of(old) == rows
    assert kinds(old)[0] == ("2025", "03-02", "03-03", True)


def test_a_year_that_an_older_release_moved_out_does_not_come_back(old):
    ended_behind(old, "exchange")
    for day in ("01", "02"):
        shutil.rmtree(old / "lake" / "events" / f"date=2025-03-{day}")
    upgrade_of(old).run()
    assert {year for year, *_ in kinds(old)} == {"2026"}


class SmallDisk(Disk):
    room = 1_000

    def free_bytes(self, folder):
        return self.room


def test_a_disk_that_is_too_small_is_said_once_and_tried_again(old, monkeypatch, caplog):
    monkeypatch.setattr(compactor.scheduler, "UPGRADE_WAIT_S", 0.01)
    before, disk, stop = names(old), SmallDisk(), threading.Event()
    with pytest.raises(NoRoom, match="are free"):
        scheduler_of(old, disk).run_once()
    running = scheduler_of(old, disk, stop)
    refused = threading.Event()
    run, tries = running._upgrade.run, []

    def counted():
        tries.append(1)
        if len(tries) == 4:
            refused.set()
        return run()

    monkeypatch.setattr(running._upgrade, "run", counted)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        assert refused.wait(20)
        assert names(old) == before
        disk.room = 10**9
        wait_for(lambda: not list((old / "spool").iterdir()), "the upgrade, and a pass")
    finally:
        stop.set()
        thread.join()
    assert len([m for m in caplog.messages if "are free" in m]) == 1
    assert len(rows_of(old)) == 7


def test_a_reader_that_shares_the_lock_for_long_puts_off_the_last_step_alone(old):
    store = LocalStore(old, readers_s_max=0)
    store.prepare()
    upgrade = upgrade_of(old)
    upgrade._store = store
    before = names(old)
    with store.shared(), pytest.raises(Busy):
        upgrade.run()
    assert names(old) == before
    disk = MortalDisk()
    upgrade_of(old, disk).run()
    assert not [name for name in disk.changes if name.startswith("write_file") and "year" in name]
    assert len(rows_of(old)) == 7


@pytest.mark.parametrize("damage", [torn, damaged_within])
def test_a_part_that_cannot_be_read_goes_along_and_is_mended_where_it_lies(old, damage, caplog):
    rows = rows_of(old)
    bad = next((old / "lake" / "events" / "date=2025-03-01").iterdir())
    sound = bad.read_bytes()
    damage(bad)
    scheduler_of(old).turn(everything=True)
    assert len([m for m in caplog.messages if "goes along" in m and bad.name in m]) == 1
    assert ("2026", "11-19", "11-20", True) in kinds(old)
    (path,) = (old / "lake" / "events" / "year=2025").glob("*.recent.parquet")
    assert path.name == f"2025-03-01_2025-03-01-{bad.stem}.recent.parquet"

    path.write_bytes(sound)  # from a backup
    assert read_footer(path).version == 1
    scheduler_of(old).turn(everything=True)
    assert rows_of(old) == rows
    assert kinds(old)[0] == ("2025", "03-01", "03-02", True)


def test_what_is_no_part_goes_along(old):
    events = old / "lake" / "events"
    (events / "date=2025-03-01" / "notes").write_text("mine")
    (events / "date=2025-03-01" / "more").mkdir()
    (events / "date=2025-03-01" / "more" / "deep").write_text("too")
    (events / "README").write_text("here")
    upgrade_of(old).run()
    assert (events / "year=2025" / "2025-03-01-notes").read_text() == "mine"
    assert (events / "year=2025" / "2025-03-01-more" / "deep").read_text() == "too"
    assert (events / "README").read_text() == "here"
    assert len(rows_of(old)) == 7


def test_parts_that_others_supersede_stay_behind(tmp_path):
    """As in a copy of a lake that was copied over without deleting."""
    events = tmp_path / "lake" / "events"
    (one, lines), (two, more) = day_of("2025-03-01", 1, "a"), day_of("2025-03-01", 2, "b")
    old_part(events, one, lines)
    old_part(events, two, more)
    both = {f"{segment_of(one)}..{segment_of(two)}": [2, 2, 0, 0]}
    put(events, "2025-03-01", 3, "ab", segments=both, supersedes=[f"{two}.parquet"])
    upgrade_of(tmp_path).run()
    assert [row[2] for row in rows_of(tmp_path)] == ["/a", "/b"]
    assert findings(tmp_path) == []


def test_an_old_copy_beside_years_is_left_alone_and_said_once(old, caplog):
    shutil.copytree(old / "lake" / "events", old / "copy")
    running = scheduler_of(old)
    running.turn(everything=True)
    rows = rows_of(old)
    shutil.copytree(old / "copy", old / "lake" / "events", dirs_exist_ok=True)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            running.turn(everything=True)
    (told,) = [message for message in caplog.messages if "older lake" in message]
    assert "5 folders" in told
    assert "date=2026-11-22" in told
    assert any("date=2025-03-01" in finding for finding in findings(old))
    for path in (old / "copy").iterdir():
        assert (old / "lake" / "events" / path.name).is_dir()
        shutil.rmtree(old / "lake" / "events" / path.name)
    assert rows_of(old) == rows


class NetworkDisk(MortalDisk):
    def exchange(self, one, other):
        raise CannotExchange(other)


def test_without_an_exchange_two_renames_do_and_a_crash_between_them_is_found_out(tmp_path):
    origin = tmp_path / "origin"
    make(origin)
    rows = rows_of(origin)
    shutil.copytree(origin, tmp_path / "whole")
    whole = NetworkDisk()
    upgrade_of(tmp_path / "whole", whole).run()
    assert rows_of(tmp_path / "whole") == rows
    _, second = [
        n
        for n, name in enumerate(whole.changes)
        if name.endswith(("upgrade/old", "lake/events")) and name.startswith("rename")
    ]
    for n in (second, second + 1):
        data_dir = tmp_path / f"data-{n}"
        shutil.copytree(origin, data_dir)
        with pytest.raises(Ended):
            upgrade_of(data_dir, NetworkDisk(n)).run()
        upgrade_of(data_dir, NetworkDisk()).run()
        assert rows_of(data_dir) == rows
        assert not (data_dir / "lake" / "upgrade").exists()


# As an operator meets it


def command(data_dir, *arguments, status=0, program="", **settings):
    done = subprocess.run(
        [sys.executable, *(("-c", program) if program else ("-m", "compactor")), *arguments],
        cwd=PROJECT,
        env=clean_environment() | {"DATA_DIR": str(data_dir)} | settings,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


WITH = """if True:
    import signal, sys
    from compactor.lake.disk import Disk
    {change}
    from compactor.__main__ import main
    sys.exit(main())
"""
NO_ROOM = WITH.format(change="Disk.free_bytes = lambda *_: 1_000")
WAITS = WITH.format(change="Disk.exchange = lambda *_: print('now', flush=True) or signal.pause()")


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(old):
    before = names(old)
    told = command(old, "upgrade", "--dry-run", program=NO_ROOM, status=1).stdout
    assert "year=2025 anew: 2 parts, 4 rows" in told
    assert "2 years, 5 parts, 7 rows; needs " in told
    assert "1000 are free" in told
    refused = command(old, "--once", program=NO_ROOM, status=1).stderr
    assert refused.startswith("compactor: the lake is of an older format")
    assert names(old) == before


def test_kill_9_in_the_last_step_of_a_real_process(old):
    rows = rows_of(old)
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, "erase", "--site", "none", "--wait-s", "0"],
        cwd=PROJECT,
        env=clean_environment() | {"DATA_DIR": str(old)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout.readline() == b"now\n"
        process.kill()
    assert rows_of(old) == rows
    command(old, "--once")
    assert rows_of(old) == rows
    assert not (old / "lake" / "upgrade").exists()


def test_it_stops_promptly_when_it_is_told_to_and_goes_on_later(old):
    stop = threading.Event()
    rows, left = rows_of(old), []

    class Stopping(MortalDisk):
        def note(self, change):
            super().note(change)
            if "year=2025" in change:
                stop.set()
                left.append(change)

    assert not scheduler_of(old, Stopping(), stop).run_once()
    assert len([name for name in left if name.startswith("write_file")]) == 0
    assert rows_of(old) == rows
    assert scheduler_of(old).run_once()
    assert rows_of(old) == rows


def test_lake_duckdb_is_made_anew(old):
    assert "format 3" in command(old, "upgrade").stdout
    sql = "select count(*), count(distinct date) from events"
    assert duckdb_cli(sql, database=old / "lake.duckdb") == "7,5"
    assert "nothing to do" in command(old, "upgrade", "--dry-run").stdout


class EndsAtWhatMovedOut(MortalDisk):
    def note(self, change):
        if "unlink" in change and "expired" in change:
            raise Ended
        super().note(change)


@pytest.mark.parametrize("is_settled", [False, True], ids=["at once", "when it has settled"])
def test_dates_that_moved_out_before_come_back_once(old, is_settled):
    moved = old / "expired" / "date=2025-03-01"
    rows = rows_of(old)
    moved.parent.mkdir()
    (old / "lake" / "events" / moved.name).rename(moved)
    with pytest.raises(Ended):
        list(scheduler_of(old, EndsAtWhatMovedOut()).restore())
    assert kinds(old)[0] == ("2025", "03-01", "03-01", False)
    assert rows_of(old) == rows
    if is_settled:
        scheduler_of(old).turn(everything=True)
        assert kinds(old)[0] == ("2025", "03-01", "03-02", True)
    ((part, is_back),) = scheduler_of(old).restore()
    assert is_back and part.path.startswith(moved.name)
    assert not moved.exists()
    assert rows_of(old) == rows
    assert list(scheduler_of(old).restore()) == []
