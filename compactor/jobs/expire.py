"""Retention: whole dates move out of the lake, to data/expired/date=YYYY-MM-DD/, and back.

Nothing is deleted: what is there is the operator's to archive or to remove. With a date's parts
goes what quarantine kept of it. An event that is sent again afterwards is known by the parts that
are still there, so importing the same log again adds nothing.
"""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from compactor.lake.disk import Disk
from compactor.lake.format import Lake, Part, parse_folder
from compactor.lake.publish import make_folder
from compactor.segments.quarantine import Quarantine
from ingest.segment import list_segments

IDLE_DAYS_MAX = 1  # a clock that is further ahead of all that was ever written is not believed

_AGAIN = """
    SELECT count(*) FROM read_parquet($here, hive_partitioning = false)
    SEMI JOIN read_parquet($there, hive_partitioning = false) USING (site_id, event_id)
"""


def is_expired(day: date, today: date, retention_days: int) -> bool:
    """The last `retention_days` dates stay, today's being one of them."""
    return day <= today - timedelta(days=retention_days)


def doubt(lake: Lake, due: Collection[date], today: date) -> str | None:
    """Why the clock is not believed that says that these dates are past their retention."""
    days = lake.dates()
    written = max((part.created_ms for day in days for part in lake.files(day)), default=0)
    newest = datetime.fromtimestamp(written / 1000, UTC).date()
    if newest < today - timedelta(days=IDLE_DAYS_MAX):
        return f"the clock says {today}, and nothing was written since {newest}"
    if len(due) > 1 and not any(day < today - timedelta(days=1) for day in set(days) - set(due)):
        return f"by the clock, {today}, all dates before yesterday would go at once"
    return None


def expire(lake: Lake, spool: Path, quarantine: Quarantine, day: date, disk: Disk) -> int:
    """Move a date out; returns how many files moved, none if it has to wait.

    Needs the lake's turn. Safe to repeat after a crash at any point of it. Raises Busy, and
    UnreadablePart for a part whose segments nobody knows.
    """
    parts = lake.parts(day)
    disk.sync_folder(spool)  # a segment that came back after a power cut would find no part's name
    if _waits(lake, spool, parts):
        return 0
    folder = expired_folder(lake, day)
    set_aside = quarantine.of_date(day)
    make_folder(folder.parent, disk)
    make_folder(folder, disk)
    if set_aside:
        make_folder(folder / "quarantine", disk)
        _move(set_aside, folder / "quarantine", disk)
        _remove_if_empty(quarantine.date_folder(day), disk)
        disk.sync_folder(quarantine.folder)
    with lake.without_readers():
        moved = _move(lake.files_of(day), folder, disk)
    _remove_if_empty(lake.date_folder(day), disk)
    disk.sync_folder(lake.events)
    lake.forget(day)
    return moved + len(set_aside)


def restore(
    lake: Lake, quarantine: Quarantine, day: date, disk: Disk, database: duckdb.DuckDBPyConnection
) -> int:
    """Move a date back; returns how many files moved.

    None if the lake has got events of it again by now that are there, too. Needs the lake's turn.
    """
    folder = expired_folder(lake, day)
    parts = expired_parts(lake, day)
    here = [str(lake.path(part)) for part in lake.files(day)]
    if here and parts:
        with database.cursor() as cursor:
            again = cursor.execute(_AGAIN, {"here": here, "there": list(map(str, parts))})
            if again.fetchall() != [(0,)]:
                return 0
    make_folder(lake.date_folder(day), disk)
    with lake.without_readers():
        moved = _move(parts, lake.date_folder(day), disk)
    kept = sorted((folder / "quarantine").glob("*"))
    if kept:
        make_folder(quarantine.folder, disk)
        make_folder(quarantine.date_folder(day), disk)
        _move(kept, quarantine.date_folder(day), disk)
        _remove_if_empty(folder / "quarantine", disk)
    _remove_if_empty(folder, disk)
    disk.sync_folder(folder.parent)
    return moved + len(kept)


def expired_folder(lake: Lake, day: date) -> Path:
    return lake.folder.parent / "expired" / lake.date_folder(day).name


def expired_parts(lake: Lake, day: date) -> list[Path]:
    return sorted(expired_folder(lake, day).glob("*.parquet"))


def expired_dates(lake: Lake) -> list[date]:
    folders = (lake.folder.parent / "expired").glob("date=*")
    return sorted(day for folder in folders if (day := parse_folder(folder.name)))


def _move(paths: Collection[Path], folder: Path, disk: Disk) -> int:
    for path in paths:
        disk.rename(path, folder / path.name)
    disk.sync_folder(folder)
    return len(paths)


def _remove_if_empty(folder: Path, disk: Disk) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        disk.remove_folder(folder)


def _waits(lake: Lake, spool: Path, parts: list[Part]) -> bool:
    """Is a segment not yet released whose rows these parts hold? They would be stored again."""
    present = {name.id for name in list_segments(spool)}
    return any(lake.footer(part).named(present) for part in parts)
