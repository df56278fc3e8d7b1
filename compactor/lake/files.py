"""Files that are no parts, and folders: made, moved and removed so that a power cut finds them."""

import os
from collections.abc import Mapping
from pathlib import Path

from compactor.lake.disk import STAGED, Disk
from compactor.lake.store import Fill


def names_in(folder: Path) -> list[str]:
    """None when it is not there."""
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def make_folder(folder: Path, disk: Disk) -> None:
    if not folder.is_dir():
        disk.make_folder(folder)
    disk.sync_folder(folder.parent)  # even if it was there: its maker may have died before this


def replace_file(staging: Path, target: Path, fill: Fill, disk: Disk) -> None:
    """Write a file, in place of an older one of that name if there is one."""
    staged = staging / (target.name + STAGED)
    disk.write_file(staged, fill)
    disk.sync_file(staged)
    disk.rename(staged, target)
    disk.sync_folder(target.parent)
    disk.sync_folder(staging)


def move(targets: Mapping[Path, Path], disk: Disk) -> int:
    """Files to other names; returns how many."""
    for source, target in targets.items():
        disk.rename(source, target)
    for folder in sorted({path.parent for path in targets.values()}):
        disk.sync_folder(folder)
    for folder in sorted({path.parent for path in targets}):
        disk.sync_folder(folder)
    return len(targets)


def remove(path: Path, disk: Disk) -> None:
    """A file, or a folder of files."""
    if not path.is_dir():
        disk.unlink(path)
        return
    for file in sorted(path.iterdir()):
        disk.unlink(file)
    disk.remove_folder(path)


def remove_if_empty(folder: Path, disk: Disk) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        disk.remove_folder(folder)
