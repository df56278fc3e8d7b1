"""A sites.toml that changes: what is in force is always one that was right, and whole."""

import os

import pytest

from ingest.sites.document import Invalid
from ingest.sites.watched import Watched, started


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "sites.toml"
    path.write_text("[one]\n")
    return path


def names(watched):
    return list(watched.sites.by_id)


def replace(path, text):
    new = path.with_name("new")
    new.write_text(text)
    os.replace(new, path)


def test_a_change_is_in_force_once_it_was_seen_twice(path):
    watched = Watched(str(path))
    for change in (replace, lambda path, text: path.write_text(text)):
        path.write_text("[one]\n")
        watched.look(), watched.look()
        change(path, "[one]\n[two]\n")
        watched.look()
        assert names(watched) == ["one"]  # it may still be being written
        path.write_text("[one]\n[two]\n[three]\n")
        watched.look()
        assert names(watched) == ["one"]
        watched.look()
        assert names(watched) == ["one", "two", "three"]


def test_a_link_that_leads_elsewhere_is_a_change(path, tmp_path):
    link, other = tmp_path / "link", tmp_path / "other"
    other.write_text("[two]\n")
    link.symlink_to(path)
    watched = Watched(str(link))
    link.unlink()
    link.symlink_to(other)
    watched.look(), watched.look()
    assert names(watched) == ["two"]


def break_it(path):
    path.write_text("[one]\n\nhots = []\n")


def take_it_away(path):
    path.unlink()


def make_it_a_folder(path):
    path.unlink()
    path.mkdir()


def leave_no_link(path):
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize("trouble", [break_it, take_it_away, make_it_a_folder, leave_no_link])
def test_the_last_good_one_is_kept_and_the_log_says_so_once(path, trouble, caplog):
    watched = Watched(str(path))
    trouble(path)
    for _ in range(5):
        watched.look()
    assert names(watched) == ["one"] and watched.words
    [said] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert str(path) in said.message and "what was before stays in force" in said.message
    if trouble is break_it:
        assert "line 3: one.hots: there is no such key" in said.message
        assert watched.words.startswith("line 3 is wrong") and "one" not in watched.words
    if path.is_dir():
        path.rmdir()
    replace(path, "[two]\n")
    watched.look(), watched.look()
    assert names(watched) == ["two"] and watched.words is None


def test_who_starts_with_a_broken_file_has_what_the_service_started_with(path):
    before = started("ingest", str(path))
    break_it(path)
    with pytest.raises(Invalid):
        Watched(str(path))
    watched = Watched(str(path), before)
    assert names(watched) == ["one"] and watched.words


def test_a_start_is_refused_with_one_line(path):
    break_it(path)
    with pytest.raises(SystemExit, match=r"^report: FOOTFALL_SITES .*: line 3: one.hots: .*$"):
        started("report", str(path))
    path.unlink()
    with pytest.raises(SystemExit, match=r"^ingest: FOOTFALL_SITES .*: No such file"):
        started("ingest", str(path))
