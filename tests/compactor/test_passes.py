"""Scheduler: what they store, what they set aside, how they share a lake and give way."""

import errno
import fcntl
import os
import resource
import threading

import pytest

from compactor.lake.disk import CannotExchange, Disk
from compactor.scheduler import Stopped
from tests.compactor.folder import Folder, line
from tests.processes import wait_for


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_an_event_is_stored_once_whatever_pass_it_comes_in(folder):
    folder.segment(line("/1", id="x"), line("/2", id="x"), line("/3", id="x", site="blog"))
    folder.turn()
    folder.segment(line("/4", id="x"), line("/5", id="x", at="2026-11-21T07:00:00Z"))
    folder.turn()
    assert folder.rows() == [("/1",), ("/3",), ("/5",)]
    assert sum(sum(footer.duplicates_by_site.values()) for footer in folder.footers()) == 2
    assert "/2" in folder.set_aside() and "/4" in folder.set_aside()


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        pytest.param(lambda b: b[:-20], 0, id="truncated: its last line"),
        pytest.param(lambda b: b[:10] + bytes(20) + b[30:], 1, id="zeros in a line"),
        pytest.param(lambda b: bytes([b[0] ^ 4]) + b[1:], 1, id="a bit flipped"),
        pytest.param(lambda b: b"# a note\n" + b, 1, id="a foreign line"),
        pytest.param(lambda b: b"\xff\xfe\n" + b, 1, id="not UTF-8"),
        pytest.param(lambda b: b"\n\n" + b, 2, id="blank lines"),
        pytest.param(lambda b: b + bytes(4096), 1, id="zeros at the end"),
        pytest.param(lambda b: b"[" * 100_000 + b"\n" + b, 1, id="nested without end"),
    ],
)
def test_damage_costs_the_lines_it_touches(folder, damage, lost):
    good = [line(f"/{n}") for n in range(5)]
    folder.segment(damage(b"".join(good)))
    folder.segment(line("/other"))
    folder.turn()
    kept = {path for (path,) in folder.rows()}
    quarantined = folder.set_aside().count('"reason"')
    assert "/other" in kept
    assert len(kept) - 1 + quarantined >= 5
    assert 5 - (len(kept) - 1) <= 1
    assert quarantined >= lost
    assert not list(folder.spool.iterdir())


def test_foreign_files_in_the_spool_are_left_alone(folder):
    (folder.spool / ".DS_Store").write_bytes(b"x")
    (folder.spool / "notes.jsonl").write_bytes(b"x")
    folder.segment(line("/1"))
    folder.turn()
    assert folder.rows() == [("/1",)]
    assert len(list(folder.spool.iterdir())) == 2


def test_a_segment_with_a_writer_is_not_touched(folder):
    path = folder.segment(line("/1"), b'{"half', state="open")
    with path.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        folder.turn()
        assert path.exists() and folder.rows() == []
    folder.turn()
    assert folder.rows() == [("/1",)]
    assert "half" in folder.set_aside()


class Gate(Disk):
    """Stops before the first part gets its name, until it is told to go on."""

    def __init__(self):
        self.reached, self.go_on = threading.Event(), threading.Event()

    def link(self, source, target):
        self.reached.set()
        assert self.go_on.wait(20)
        super().link(source, target)


def test_a_second_compactor_waits_for_its_turn(folder):
    folder.segment(line("/1"))
    gate, results = Gate(), []
    first = threading.Thread(target=folder.turn, args=(gate,))
    first.start()
    assert gate.reached.wait(20)
    second = threading.Thread(target=lambda: results.append(folder.passes().turn(everything=True)))
    second.start()
    second.join(0.3)  # without the lock it is through with the same segment by now
    assert second.is_alive()
    gate.go_on.set()
    first.join()
    second.join()
    assert folder.rows() == [("/1",)]


class Full(Disk):
    """Takes so many bytes more, then none."""

    def __init__(self, room):
        self.room = room

    def free_bytes(self, folder):
        return max(0, self.room)

    def write_file(self, path, fill):
        super().write_file(path, fill)
        self.room -= path.stat().st_size
        if self.room < 0:
            path.write_bytes(path.read_bytes()[: self.room])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def unlink(self, path):
        status = path.stat()
        self.room += status.st_size if status.st_nlink == 1 else 0
        super().unlink(path)


def test_a_full_disk_in_the_middle_of_a_pass_loses_nothing(folder):
    days = [f"20{year}-11-10T07:00:00Z" for year in range(10, 20)]
    folder.segment(*(line(day, at=day) for day in days))
    with pytest.raises(OSError, match="No space"):
        folder.turn(Full(room=40_000))
    assert 0 < len(folder.rows()) < 10
    folder.turn()
    assert [path for (path,) in folder.rows()] == days


def test_a_nearly_full_disk_is_emptied_segment_by_segment(folder):
    for n in range(4):
        folder.segment(*(line("/" + "x" * 500, id=f"{n}.{m}") for m in range(400)))
    (segment, *_) = folder.spool.iterdir()
    folder.turn(Full(room=segment.stat().st_size // 4))
    assert len(folder.rows()) == 1_600
    assert not list(folder.spool.iterdir())


class StopsAtSecondPart(Disk):
    def __init__(self, folder):
        self.folder = folder
        self.links = 0

    def link(self, source, target):
        super().link(source, target)
        self.links += 1
        if self.links == 2:
            self.folder.stop.set()


def test_a_pass_is_given_up_between_two_parts_when_told_to_stop(folder):
    folder.segment(*(line(at=f"20{year}-11-10T07:00:00Z") for year in range(10, 20)))
    with pytest.raises(Stopped):
        folder.turn(StopsAtSecondPart(folder))
    assert len(folder.parts()) == 2
    folder.stop.clear()
    folder.turn()
    assert len(folder.rows()) == 10


def test_ten_years_in_one_import_are_ten_files_and_need_no_more_open_ones_than_a_day(folder):
    days = [
        f"20{year}-{month:02}-{day:02}"
        for year in range(16, 26)
        for month in range(1, 13)
        for day in range(1, 29, 9)
    ]
    folder.segment(*(line(at=f"{day}T12:00:00Z") for day in days))
    passes = folder.passes()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 12, limits[1]))
    try:
        passes.turn(everything=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(folder.parts()) == 10
    assert folder.rows("count(*), count(DISTINCT date)") == [(480, 480)]


def test_a_closed_date_settles_and_a_trickle_does_not_rewrite_it(tmp_path):
    folder = Folder(tmp_path, now="2026-11-22T23:00:00")
    segments = []
    for hour in range(5):
        lines = (line(f"/{hour}.{n}", at=f"2026-11-22T0{hour}:00:00Z") for n in range(20))
        segments.append(folder.segment(*lines))
        folder.turn()
    assert len(folder.parts()) == 5
    folder.now = "2026-11-23T04:00:00"
    folder.turn()
    (one,) = folder.parts()
    segments.append(folder.segment(line("/late")))
    folder.turn()
    assert len(folder.parts()) == 2 and one in folder.parts()
    folder.now = "2026-11-24T05:00:00"
    folder.turn()
    assert len(folder.parts()) == 1
    assert len(folder.rows()) == 101
    (footer,) = folder.footers()
    ids = {path.stem for path in segments}
    assert footer.absorbs(ids) == ids and len(ids) == 6
    assert (footer.segments, footer.absorbed) == ([], {"aaaaaaaa": [(1, 6)]})


class NoExchange(Disk):
    def exchange(self, one, other):
        raise CannotExchange(other)  # as on NFS


def test_without_an_atomic_exchange_a_year_keeps_its_parts(tmp_path):
    folder = Folder(tmp_path, now="2026-11-24T00:00:00")
    for n in range(2):
        folder.segment(line(f"/{n}"))
        folder.turn(NoExchange())
    folder.turn(NoExchange())
    assert folder.rows() == [("/0",), ("/1",)]
    assert len(folder.parts()) == 2
    folder.turn()
    assert len(folder.parts()) == 1


def test_the_log_says_how_far_behind_it_is(tmp_path, caplog):
    folder = Folder(tmp_path, pass_bytes_max=1 << 20)
    for n in range(3):
        folder.segment(*(line(f"/{n}" + "x" * 900) for _ in range(900)))
    with caplog.at_level("INFO", "compactor"):
        folder.turn()
    assert any("behind by 3 segments" in message for message in caplog.messages)
    assert len(folder.rows()) == 2700
    assert wait_for(lambda: not list(folder.spool.iterdir()), "an empty spool")


def test_each_open_date_has_a_part_of_its_own_and_all_closed_ones_of_a_year_have_one(tmp_path):
    folder = Folder(tmp_path, now="2026-11-22T01:00:00")
    days = ["2026-11-23", "2026-11-22", "2026-11-21", "2026-11-20", "2026-03-01", "2025-12-31"]
    folder.segment(*(line(at=f"{day}T00:30:00Z") for day in days))
    folder.passes().compact_all()
    names = [name.split("/") for name in folder.parts()]
    assert [(year, name[:21]) for year, name in names] == [
        ("year=2025", "2025-12-31_2025-12-31"),
        ("year=2026", "2026-03-01_2026-11-20"),
        ("year=2026", "2026-11-21_2026-11-21"),  # it closes at 3 o'clock
        ("year=2026", "2026-11-22_2026-11-22"),
        ("year=2026", "2026-11-23_2026-11-23"),
    ]
    assert all(name.endswith(".recent.parquet") for _, name in names)
    folder.turn()
    settled = [name for name in folder.parts() if not name.endswith(".recent.parquet")]
    assert [name[:31] for name in settled] == [
        "year=2025/2025-12-31_2025-12-31",
        "year=2026/2026-03-01_2026-11-20",
    ]


def test_a_spool_that_is_put_back_from_a_backup_is_in_the_lake_already(tmp_path):
    folder = Folder(tmp_path, now="2026-11-22T23:00:00")
    segment = folder.segment(line("/1"), line("/2", at="2026-11-20T07:00:00Z"), b"no event\n")
    content = segment.read_bytes()
    folder.turn()
    folder.now = "2026-11-23T04:00:00"
    folder.turn()
    before = folder.parts()
    segment.write_bytes(content)
    folder.turn()
    assert (folder.parts(), not segment.exists()) == (before, True)
    assert folder.rows() == [("/1",), ("/2",)]
