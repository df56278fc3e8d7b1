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
from compactor.lake.listing import Lake
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
    newest = lake.newest()
    written = datetime.fromtimestamp(newest.created_ms / 1000, UTC).date() if newest else today
    if written < today - timedelta(days=IDLE_DAYS_MAX):
        return f"the clock says {today}, and nothing was written since {written}"
    stay = set(lake.dates()) - set(due)
    if len(due) > 1 and not any(day < today - timedelta(days=1) for day in stay):
        return f"by the clock, {today}, all dates before yesterday would go at once"
    return None


def expire(lake: Lake, spool: Path, quarantine: Quarantine, day: date, disk: Disk) -> int:
    """Move a date out; returns how many files moved, none if it has to wait.

    Needs the lake's turn. Safe to repeat after a crash at any point of it. Raises Busy, and
    UnreadablePart for a part whose segments nobody knows.
    """
    parts = lake.parts(day)
    disk.sync_folder(spool)  # a segment that came back after a power cut would find no part's name
    if _waits(lake, spool, day):
        return 0
    moved = quarantine.retire(day) + (lake.store.retire(day) if parts else 0)
    lake.forget(day)
    return moved


def restore(
    lake: Lake, quarantine: Quarantine, day: date, database: duckdb.DuckDBPyConnection
) -> int:
    """Move a date back; returns how many files moved.

    None if the lake has got events of it again by now that are there, too. Needs the lake's turn.
    """
    here = [str(lake.store.source(part)) for part in lake.files(day)]
    there = [str(path) for path in lake.retired(day)]
    if here and there:
        with database.cursor() as cursor:
            again = cursor.execute(_AGAIN, {"here": here, "there": there})
            if again.fetchall() != [(0,)]:
                return 0
    return quarantine.restore(day) + lake.store.restore(day)


def _waits(lake: Lake, spool: Path, day: date) -> bool:
    """Is a segment not yet released whose rows these parts hold? They would be stored again."""
    present = {name.id for name in list_segments(spool)}
    return any(lake.footer(part).named(present) for part in lake.parts(day))
