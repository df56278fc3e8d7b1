"""Makes files appear whole or not at all, even across a power cut."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from compactor.disk import STAGED, Disk
from compactor.lake import Lake, Part

Fill = Callable[[BinaryIO], object]


def publish(lake: Lake, part: Part, fill: Fill, disk: Disk) -> None:
    """Give a part its name once its bytes are safe. Raises FileExistsError if the name is taken."""
    staged = lake.staging / (part.name + STAGED)
    target = lake.path(part)
    make_folder(lake.date_folder(part.date), disk)
    disk.write_file(staged, fill)
    disk.sync_file(staged)
    disk.link(staged, target)  # not rename(2), which would replace a file of that name
    disk.sync_folder(target.parent)  # the new name lasts only once its folder is synced
    disk.unlink(staged)


def replace(target: Path, fill: Fill, disk: Disk) -> None:
    """Write a file that is not a part, in place of an older one of that name if there is one."""
    staged = target.with_name(target.name + STAGED)
    disk.write_file(staged, fill)
    disk.sync_file(staged)
    disk.rename(staged, target)
    disk.sync_folder(target.parent)


def prepare(lake: Lake, disk: Disk) -> None:
    """Make the lake's folders."""
    for folder in (lake.folder, lake.events, lake.staging):
        make_folder(folder, disk)


def sweep(lake: Lake, disk: Disk) -> int:
    """Remove what a crashed publish left behind. Runs before a pass, never during one."""
    leftovers = list(lake.staging.iterdir())
    for path in leftovers:
        disk.unlink(path)
    return len(leftovers)


def make_folder(folder: Path, disk: Disk) -> None:
    if not folder.is_dir():
        disk.make_folder(folder)
        disk.sync_folder(folder.parent)
