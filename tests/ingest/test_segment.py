"""The names of segments, and the lock that tells a living writer from a lost one."""

import os
from datetime import date
from itertools import count

import pytest

from ingest.segment import SegmentName, list_segments, try_lock


def test_a_name_is_read_back_as_it_was_written():
    name = SegmentName(1795335647620, "eb824594", 1)
    assert str(name) == "1795335647620-eb824594-000001.open"
    assert SegmentName.parse(str(name)) == name
    assert str(name.closed()) == "1795335647620-eb824594-000001.jsonl"
    assert name.closed().id == name.id
    assert name.opened_on == date(2026, 11, 22)


@pytest.mark.parametrize(
    "text",
    [".DS_Store", "", "1795335647620-eb824594-000001", "1795335647620-eb824594-000001.jsonl.tmp",
     "1795335647620-EB824594-000001.open", "179533564762-eb824594-000001.open",
     "١٧٩٥٣٣٥٦٤٧٦٢٠-eb824594-000001.open", "1795335647620-eb824594-000001.open\n"],
)  # fmt: skip
def test_what_is_not_a_segment_is_not_taken_for_one(text):
    assert SegmentName.parse(text) is None


def test_segments_are_listed_oldest_first_and_foreign_files_are_left_alone(tmp_path):
    names = [SegmentName(ms, "00000000", seq) for ms, seq in [(3, 1), (1, 2), (1, 1)]]
    for name in names:
        (tmp_path / str(name)).touch()
    (tmp_path / ".DS_Store").touch()
    assert list_segments(tmp_path) == sorted(names)
    assert list_segments(tmp_path / "missing") == []


def test_a_lock_is_had_by_one_and_only_on_the_file_of_that_name(tmp_path):
    path = tmp_path / "segment"
    path.touch()
    first, second = os.open(path, os.O_RDONLY), os.open(path, os.O_RDONLY)
    try:
        assert try_lock(first, path)
        assert not try_lock(second, path)
        os.close(first)
        path.rename(tmp_path / "closed")
        assert not try_lock(second, path)  # free, but no longer the file of that name
    finally:
        os.close(second)


@pytest.mark.parametrize("within", [1, 2], ids=["the first", "the second"])
def test_segments_that_are_closed_while_they_are_listed_are_all_listed_once(
    tmp_path, monkeypatch, within
):
    """A listing of 1,500 names takes three calls, and a new name may lie before their cursor."""
    names = [SegmentName(n, "aaaaaaaa", 1) for n in range(1_500)]
    for name in names:
        (tmp_path / str(name)).touch()
    listings = count(1)

    def listdir(folder):
        with os.scandir(folder) as entries:
            begun = [next(entries).name]  # and what else the first call returned
            if next(listings) == within:
                for name in names:
                    (tmp_path / str(name)).rename(tmp_path / str(name.closed()))
            return begun + [entry.name for entry in entries]

    monkeypatch.setattr(os, "listdir", listdir)
    assert [name.id for name in list_segments(tmp_path)] == [name.id for name in names]
