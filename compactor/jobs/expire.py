"""Retention: dates move out of the lake, to data/expired/year=YYYY/, and back.

Nothing is deleted: what is there is the operator's to archive or to remove. A part that has dates
on both sides of the limit is divided first. With the rows of a date goes what quarantine kept of
it; of a part that was divided the counts of what got no row stay in the lake. An event that is sent
again afterwards is known by the parts that are still there, so importing the same log again adds
nothing.
"""

from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import duckdb
import msgspec

from compactor.jobs.renew import name_of_today, renewed
from compactor.lake import numbers
from compactor.lake.columns import STORED
from compactor.lake.disk import Disk
from compactor.lake.footer import Counts, Footer, read_footer
from compactor.lake.format import Folder, Part, PartNames
from compactor.lake.listing import Lake
from compactor.lake.reader import Merged, Only, sample_of
from compactor.lake.store import Fill
from compactor.lake.writer import write_part
from compactor.segments.quarantine import Quarantine
from ingest.segment import list_segments

IDLE_DAYS_MAX = 1  # a clock that is further ahead of all that was ever written is not believed

Dates = tuple[date, date]

# Parts that moved out may be of a format that has no date.
_KEYS = """
    SELECT site_id, timezone('UTC', "timestamp")::DATE AS date, event_id
    FROM read_parquet({parts}, hive_partitioning = false)
"""
_AGAIN = f"""
    SELECT count(*) FROM ({_KEYS.format(parts="$here")})
    SEMI JOIN ({_KEYS.format(parts="$there")}) USING (site_id, date, event_id)
"""


def last_due(today: date, retention_days: int) -> date:
    """The last `retention_days` dates stay, today's being one of them."""
    return today - timedelta(days=retention_days)


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


def expire(
    lake: Lake,
    folder: Folder,
    last: date,
    spool: Path,
    quarantine: Quarantine,
    next_name: PartNames,
    disk: Disk,
    check: Callable[[], None],
) -> list[date]:
    """Move a year's dates out up to `last`; returns those that moved.

    The first date waits, and with it all after it, that a part has which cannot be read, or one of
    a segment that is in the spool: its rows would be stored again. Needs the lake's turn. Safe to
    repeat after a crash at any point of it. Raises CannotExchange, Busy, UnreadablePart, and
    whatever `check` raises.
    """
    disk.sync_folder(spool)  # a segment that came back after a power cut would find no part's name
    present = {name.id for name in list_segments(spool)}
    waiting = [part for part in lake.parts(folder) if lake.footer(part).named(present)]
    for part in (*waiting, *lake.unreadable_parts(folder)):
        last = min(last, part.first - timedelta(days=1))
    both = [part for part in lake.parts(folder) if part.first <= last < part.last]
    if both:
        _divide(lake, folder, both, last, next_name, check)
    gone = [part for part in lake.parts(folder) if part.last <= last]
    moved = {day for part in gone for day in lake.footer(part).dates if part.meets(day, day)}
    for day in quarantine.dates():
        if folder.first <= day <= min(folder.last, last) and quarantine.retire(day):
            moved.add(day)
    if gone:
        lake.store.retire(gone)
    return sorted(moved)


def _divide(
    lake: Lake,
    folder: Folder,
    parts: Collection[Part],
    last: date,
    next_name: PartNames,
    check: Callable[[], None],
) -> None:
    """Parts that have dates on both sides become two each."""
    new = []
    for part in parts:
        older, younger = _footers(part, lake.footer(part), last)
        if older.total.rows:
            dates = part.first, last
            new.append(
                (next_name(*dates, part.is_recent, [part]), _fill(lake, part, dates, older, check))
            )
        dates = last + timedelta(days=1), part.last
        new.append(
            (next_name(*dates, part.is_recent, [part]), _fill(lake, part, dates, younger, check))
        )
    lake.store.replace(folder, parts, new)


def _footers(part: Part, footer: Footer, last: date) -> tuple[Footer, Footer]:
    said = msgspec.structs.replace(
        footer, supersedes=numbers.to_keep([footer.supersedes, numbers.of([part.number])])
    )
    older = {day: Counts(counts.rows) for day, counts in footer.dates.items() if day <= last}
    younger = {
        day: counts if day > last else msgspec.structs.replace(counts, rows=0)
        for day, counts in footer.dates.items()
    }
    return (
        msgspec.structs.replace(said, dates=older, duplicates_by_site={}, erased_by_site={}),
        msgspec.structs.replace(said, dates={d: c for d, c in younger.items() if c.lines}),
    )


def _fill(lake: Lake, part: Part, dates: Dates, footer: Footer, check: Callable[[], None]) -> Fill:
    path = lake.store.source(part)

    def fill(file: BinaryIO) -> None:
        with Merged([path], Only(dates)) as merged:
            groups = (rows for _, rows in merged.groups(STORED.names, check))
            write_part(file, groups, sample_of(path), footer)

    return fill


def to_restore(lake: Lake, last: date | None) -> list[Part]:
    """Parts that moved out and have dates that, with this limit, should not have."""
    return [
        part
        for folder in lake.retired_folders()
        for part in lake.retired(folder)
        if last is None or part.last > last
    ]


def restore(
    lake: Lake, quarantine: Quarantine, part: Part, database: duckdb.DuckDBPyConnection
) -> bool:
    """Move a part back, as a recent one: its dates may have got events meanwhile.

    False if the lake has got events of it again by now that are there, too. Needs the lake's turn.
    Raises UnreadablePart.
    """
    held = lake.meeting(part.first, part.last)
    here = [str(lake.store.source(each)) for each in held if not _has(lake, each, part)]
    if here and _has_again(database, here, [str(lake.store.retired_source(part))]):
        return False
    if not part.folder.is_old:
        lake.store.restore({part: name_of_today(part)})
    else:
        if len(here) == len(held):
            lake.store.publish(*renewed(part, *_retired(lake, part)))
        lake.store.remove_retired(part)
    for day in quarantine.retired_dates():
        if part.meets(day, day):
            quarantine.restore(day)
    return True


def _has(lake: Lake, held: Part, part: Part) -> bool:
    """Has this one its rows, since a restoring that a crash has cut short?"""
    return held.id == part.id or numbers.has(lake.footer(held).supersedes, *part.number)


def _retired(lake: Lake, part: Part) -> tuple[Path, Footer]:
    source = lake.store.retired_source(part)
    return source, read_footer(source)


def _has_again(database: duckdb.DuckDBPyConnection, here: list[str], there: list[str]) -> bool:
    with database.cursor() as cursor:
        return cursor.execute(_AGAIN, {"here": here, "there": there}).fetchall() != [(0,)]
