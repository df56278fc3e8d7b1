"""A copy of the lake that was made again and again into the same place, without deleting."""

import shutil

import pytest

from tests.compactor.folder import Folder, line
from tests.compactor.test_commands import compactor


def copied(folder, backup):
    shutil.copytree(folder.path / "lake", backup.path / "lake", dirs_exist_ok=True)


@pytest.mark.parametrize("copies", [(0, 1, 2, 3), (0, 3)], ids=["each state", "not the middle one"])
def test_a_compactor_removes_parts_that_another_one_supersedes(tmp_path, copies):
    for name in ("data", "backup"):
        (tmp_path / name).mkdir()
    folder = Folder(tmp_path / "data", now="2026-11-22T09:00:00")
    backup = Folder(tmp_path / "backup", now="2026-11-27T09:00:00")
    for n in range(2):
        folder.segment(*(line(f"/{n}.{m}") for m in range(100)))
        folder.turn()
    states = [
        "2026-11-22T10:00:00",
        "2026-11-23T09:00:00",
        "2026-11-24T09:00:00",
        "2026-11-26T09:00:00",
    ]
    for n, now in enumerate(states):
        folder.now = now
        if n in (1, 2):
            folder.segment(line(f"/late.{n}"))
        folder.turn()
        folder.turn()
        if n in copies:
            copied(folder, backup)
    assert len(backup.rows()) > len(folder.rows()) == 202, "what a plain copy comes to"
    compactor(backup, "--once")
    assert backup.rows() == folder.rows()
    assert "0 findings" in compactor(backup, "verify")
