"""A copy of what DATA_DIR keeps, while everything runs; and the way back.

    FOLDER/spool, FOLDER/lake/events, FOLDER/expired, FOLDER/quarantine

Every event that was acknowledged before the call is in it, once. What makes it so is the order: a
segment is deleted only after the parts with its rows have their names, so the spool is copied
before the lake, and what a pass moves meanwhile is in both, which the footers tell. While lake,
expired and quarantine are copied the lake's lock is shared: parts are added, and nothing else
changes its place. What retention set aside belongs to a part, so quarantine comes last.

Files that never change are linked where that is possible: such a backup takes no time and no room,
and does not outlive the disk, until it is copied elsewhere. Keys (DATA_DIR/visitors) stay out.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from compactor.lake.disk import Disk
from compactor.lake.store import Store
from ingest.segment import OPEN, SegmentName, list_segments, spool_folder

PARTIAL = ".partial"
KEPT = ("lake/events", "expired", "quarantine")  # in this order


class Occupied(OSError):
    """There is something already where this was to go."""


@dataclass(slots=True)
class Copied:
    files: int = 0
    bytes: int = 0
    linked: int = 0

    def __str__(self) -> str:
        return f"{self.files} files, {self.bytes:,} bytes; {self.linked} of them are links"


def back_up(data_dir: Path, store: Store, target: Path, disk: Disk) -> Copied:
    """Into a folder that is not there yet. It appears when it is complete. Raises OSError."""
    if target.exists():
        raise Occupied(f"{target} is there already")
    staged = target.with_name(target.name + PARTIAL)
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(mode=0o750)
    copied = Copied()
    _copy_spool(spool_folder(data_dir), spool_folder(staged), copied, disk)
    with store.shared():
        _copy_kept(data_dir, staged, copied, disk)
    _sync_folders(staged, disk)
    disk.rename(staged, target)
    disk.sync_folder(target.parent)
    return copied


def put_back(backup: Path, data_dir: Path, disk: Disk) -> Copied:
    """Into a data folder that keeps nothing. Safe to repeat only after it was emptied again.
    Raises OSError."""
    if not (backup / "spool").is_dir():
        raise FileNotFoundError(errno.ENOENT, "this is no backup", str(backup))
    for folder in (spool_folder(data_dir), *(data_dir / name for name in KEPT)):
        if any(_files(folder)):
            raise Occupied(f"{folder} has files already")
    copied = Copied()
    _copy_kept(backup, data_dir, copied, disk)
    _copy_spool(spool_folder(backup), spool_folder(data_dir), copied, disk)
    _sync_folders(data_dir, disk)
    return copied


def _copy_spool(spool: Path, target: Path, copied: Copied, disk: Disk) -> None:
    target.mkdir(mode=0o750, exist_ok=True)
    for name in list_segments(spool):
        with suppress(FileNotFoundError):  # it was released: the lake has its rows
            if name.state == OPEN:
                _copy_open(spool, name, target, copied, disk)
            else:
                _link(spool / str(name), target / str(name), copied, disk)


def _copy_open(spool: Path, name: SegmentName, target: Path, copied: Copied, disk: Disk) -> None:
    """What was written so far: it grows, so it is no link. Or it was closed in this moment."""
    try:
        _copy(spool / str(name), target / str(name), copied, disk)
    except FileNotFoundError:
        closed = str(name.closed())
        _link(spool / closed, target / closed, copied, disk)


def _copy_kept(source: Path, target: Path, copied: Copied, disk: Disk) -> None:
    for kept in KEPT:
        for path in _files(source / kept):
            place = target / path.relative_to(source)
            place.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                _link(path, place, copied, disk)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _link(source: Path, target: Path, copied: Copied, disk: Disk) -> None:
    try:
        disk.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        _copy(source, target, copied, disk)  # another file system, or one without links
    else:
        copied.linked += 1
        copied.files += 1
        copied.bytes += target.stat().st_size


def _copy(source: Path, target: Path, copied: Copied, disk: Disk) -> None:
    with source.open("rb") as file:
        disk.write_file(target, lambda to: shutil.copyfileobj(file, to))
    disk.sync_file(target)
    copied.files += 1
    copied.bytes += target.stat().st_size


def _sync_folders(root: Path, disk: Disk) -> None:
    """A name lasts once its folder is synced."""
    for folder, _, _ in os.walk(root, topdown=False):
        disk.sync_folder(Path(folder))
