"""Rewriting years: never for nothing, never under a lock that others can take as well."""

import pytest

from compactor.lake.disk import CannotExchange, Disk
from compactor.lake.lock import Lost
from tests.compactor.folder import Folder, line
from tests.compactor.test_commands import compactor


class NoExchange(Disk):
    """As on NFS; `fresh`: it can of folders that were made just now, as overlayfs can."""

    def __init__(self, fresh=False):
        self.fresh = fresh
        self.written = 0

    def exchange(self, one, other):
        if not (self.fresh and other.parent.name == "staging"):
            raise CannotExchange(other)
        super().exchange(one, other)

    def write_file(self, path, fill):
        super().write_file(path, fill)
        self.written += path.stat().st_size


@pytest.fixture
def folder(tmp_path):
    """Closed dates of three years, in two parts each."""
    folder = Folder(tmp_path, now="2026-11-22T08:00:00")
    for n in range(2):
        folder.segment(*(line(f"/{n}", at=f"202{year}-11-20T01:00:00Z") for year in (4, 5, 6)))
        folder.passes().compact_all()
    folder.now = "2026-11-24T00:00:00"
    return folder


@pytest.mark.parametrize(
    ("disk", "rewrites"),
    [(NoExchange(), 0), (NoExchange(fresh=True), 1)],
    ids=["nothing can be exchanged", "found out at the first"],
)
def test_where_folders_cannot_be_exchanged_nothing_is_written_for_nothing(
    folder, disk, rewrites, caplog
):
    passes = folder.passes(disk)
    for _ in range(3):
        passes.turn(everything=True)
    one = folder.files("2024-11-20")[0].stat().st_size
    assert disk.written < 2 * one * rewrites + 1
    assert len([m for m in caplog.messages if "cannot exchange" in m]) == 1
    assert len(folder.parts()) == 6
    folder.turn()
    assert len(folder.parts()) == 3


def test_a_second_look_at_years_that_are_settled_opens_no_part(folder, monkeypatch):
    passes = folder.passes()
    passes.turn(everything=True)
    passes.turn(everything=True)
    read = []
    monkeypatch.setattr("compactor.lake.listing.read_footer", lambda path: read.append(path))
    passes.turn(everything=True)
    assert read == []


def test_a_lock_that_was_removed_ends_the_turn_before_anything_else_is_written(folder):
    class Remover(Disk):
        links = 0

        def link(self, source, target):
            super().link(source, target)
            self.links += 1
            (folder.store.folder / "compactor.lock").unlink(missing_ok=True)

    folder.segment(*(line("/new", at=f"2026-11-1{day}T01:00:00Z") for day in range(5)))
    disk = Remover()
    with pytest.raises(Lost):
        folder.turn(disk)
    assert disk.links == 1
    folder.turn()
    assert len(folder.rows("path", "path = '/new'")) == 5


def test_a_pass_that_failed_is_not_told_as_a_full_disk(folder, caplog):
    class FailsOnce(Disk):
        failed = False

        def sync_file(self, path):
            if not self.failed:
                self.failed = True
                folder.stop.set()  # run() ends after this
                raise OSError("once")
            super().sync_file(path)

    folder.segment(line("/1"))
    passes = folder.passes(FailsOnce())
    passes.run()
    assert any("the pass failed" in message for message in caplog.messages)
    folder.stop.clear()
    passes.turn(everything=True)
    assert not [message for message in caplog.messages if "free on the disk" in message]


def test_commands_leave_nothing_where_they_are_called_from(folder, tmp_path_factory, monkeypatch):
    place = tmp_path_factory.mktemp("cwd")
    before = set(folder.path.glob("tmp/*"))
    compactor(folder, "verify", cwd=place)
    assert not list(place.iterdir())
    assert set(folder.path.glob("tmp/*")) <= before


def test_what_a_join_spills_goes_to_the_data_folder_and_has_a_limit(folder):
    passes = folder.passes()
    told = passes._database.sql(
        "SELECT current_setting('temp_directory'), current_setting('max_temp_directory_size')"
    ).fetchall()
    (temp, size) = told[0]
    assert temp.startswith(str(folder.path / "tmp" / "compactor-"))
    assert size == "8.0 GiB"
