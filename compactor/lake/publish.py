"""Makes files appear whole or not at all, even across a power cut.

What an earlier process did and did not sync is unknown: it may have died between the two. So
nothing is built on a name before its folder was synced by this process.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import date
from pathlib import Path
from typing import BinaryIO

from compactor.lake.disk import STAGED, Disk
from compactor.lake.format import Lake, Part

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


def confirm(lake: Lake, day: date, disk: Disk) -> None:
    """Make the parts last that a date has already: who linked them had synced the folders above."""
    disk.sync_folder(lake.date_folder(day))


def exchange(
    lake: Lake, day: date, old: Collection[Part], new: Iterable[tuple[Part, Fill]], disk: Disk
) -> None:
    """Give a date a new folder, in one step: with `new` parts for `old` ones, else as it was.

    A crash leaves the old folder or the new one, never a mixture. Raises CannotExchange, and Busy
    when a reader shares the lake's lock for too long: most likely before anything is written.
    """
    with lake.without_readers():
        pass
    folder = lake.staging / lake.date_folder(day).name
    gone = {part.name for part in old}
    disk.make_folder(folder)
    for path in lake.date_folder(day).iterdir():
        if path.name not in gone:
            disk.link(path, folder / path.name)
    for part, fill in new:
        disk.write_file(folder / part.name, fill)
        disk.sync_file(folder / part.name)
    disk.sync_folder(folder)
    with lake.without_readers():
        disk.exchange(folder, lake.date_folder(day))
    sweep(lake, disk)  # `folder` is the old one now


def replace(staging: Path, target: Path, fill: Fill, disk: Disk) -> None:
    """Write a file that is not a part, in place of an older one of that name if there is one."""
    staged = staging / (target.name + STAGED)
    disk.write_file(staged, fill)
    disk.sync_file(staged)
    disk.rename(staged, target)
    disk.sync_folder(target.parent)
    disk.sync_folder(staging)


def prepare(lake: Lake, disk: Disk) -> None:
    """Make the lake's folders."""
    for folder in (lake.folder, lake.events, lake.staging):
        make_folder(folder, disk)


def sweep(lake: Lake, disk: Disk) -> int:
    """Remove what a crash, or an exchange, left in the folder for staging."""
    leftovers = list(lake.staging.iterdir())
    if leftovers:
        # a folder here may be the old one of a date: it is needed until the exchange is safe
        disk.sync_folder(lake.events)
        disk.sync_folder(lake.staging)
    for path in leftovers:
        remove(path, disk)
    return len(leftovers)


def remove(path: Path, disk: Disk) -> None:
    """A file, or a folder of files."""
    if not path.is_dir():
        disk.unlink(path)
        return
    for file in path.iterdir():
        disk.unlink(file)
    disk.remove_folder(path)


def make_folder(folder: Path, disk: Disk) -> None:
    if not folder.is_dir():
        disk.make_folder(folder)
    disk.sync_folder(folder.parent)  # even if it was there: its maker may have died before this
