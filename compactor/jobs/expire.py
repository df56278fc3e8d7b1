"""Retention: whole dates move out of the lake, to data/expired/date=YYYY-MM-DD/.

Nothing is deleted: what is there is the operator's to archive or to remove.
"""

from datetime import date, timedelta
from pathlib import Path

from compactor.lake.disk import Disk
from compactor.lake.format import Lake, Part
from compactor.lake.publish import make_folder
from ingest.segment import list_segments


def is_expired(day: date, today: date, retention_days: int) -> bool:
    """The last `retention_days` dates stay, today's being one of them."""
    return day <= today - timedelta(days=retention_days)


def expire(lake: Lake, spool: Path, day: date, disk: Disk) -> list[Part]:
    """Move a date's parts out; returns those that moved, none if it has to wait.

    Needs the lake's lock. Safe to repeat after a crash at any point of it.
    """
    parts = lake.parts(day)
    disk.sync_folder(spool)  # a segment that came back after a power cut would find no part's name
    if _waits(lake, spool, parts):
        return []
    folder = expired_folder(lake) / lake.date_folder(day).name
    make_folder(folder.parent, disk)
    make_folder(folder, disk)
    with lake.without_readers():
        for path in lake.date_folder(day).iterdir():
            disk.rename(path, folder / path.name)
    disk.sync_folder(folder)
    disk.remove_folder(lake.date_folder(day))
    disk.sync_folder(lake.events)
    lake.forget(day)
    return parts


def expired_folder(lake: Lake) -> Path:
    return lake.folder.parent / "expired"


def _waits(lake: Lake, spool: Path, parts: list[Part]) -> bool:
    """Is a segment not yet released whose rows these parts hold? They would be stored again."""
    named = (id for part in parts for id in lake.footer(part).segments)
    return not {name.id for name in list_segments(spool)}.isdisjoint(named)
