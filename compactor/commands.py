"""What an operator runs by hand, beside a running compactor: verify, expire, erase, backup."""

import sys
import threading
import time
from pathlib import Path

from tqdm import tqdm

from compactor.jobs.backup import back_up, put_back
from compactor.jobs.erase import Subject, erase_date, erase_from_quarantine, rows_of
from compactor.jobs.verify import Verification
from compactor.lake.disk import CannotExchange, Disk
from compactor.lake.format import UnreadablePart
from compactor.lake.listing import Lake
from compactor.lake.store import open_store
from compactor.scheduler import Scheduler
from compactor.segments.quarantine import Quarantine, lines_in
from compactor.settings import Settings
from ingest.segment import OPEN, SegmentName, list_segments, spool_folder

POLL_S = 0.2


def verify(settings: Settings, stop: threading.Event) -> int:
    """Status 1 if anything at all is wrong; each finding is a line."""
    verification = Verification(settings.data_dir)
    dates = verification.lake.dates()
    for day in tqdm(dates, desc="verify", unit=" dates", disable=not sys.stderr.isatty()):
        if stop.is_set():
            print(f"stopped before {day}")
            return 1
        for finding in verification.check_date(day):
            tqdm.write(finding, file=sys.stdout)
    print(verification.summary())
    return 1 if verification.findings else 0


def backup(settings: Settings, folder: Path) -> int:
    data_dir = Path(settings.data_dir)
    print(f"{folder}: {back_up(data_dir, open_store(data_dir), folder, Disk())}")
    return 0


def restore(settings: Settings, folder: Path) -> int:
    print(f"{settings.data_dir}: {put_back(folder, Path(settings.data_dir), Disk())}")
    return 0


def expire(
    settings: Settings, dry_run: bool, undo: bool, force: bool, stop: threading.Event
) -> int:
    """Status 1 if a date has to stay that should move."""
    if not settings.retention_days and not undo:
        raise SystemExit("compactor: COMPACTOR_RETENTION_DAYS is not set: every date stays")
    scheduler = Scheduler(settings, stop)
    upkeep = scheduler.upkeep
    days = upkeep.to_restore() if undo else upkeep.due()
    doubted = None if undo or force else upkeep.doubt(days)
    if doubted and not dry_run:
        raise SystemExit(f"compactor: nothing was moved: {doubted}. If that is right: --force")
    moved = 0
    for day in days:
        if dry_run:
            print(f"would move {day}")
        elif files := scheduler.restore(day) if undo else scheduler.expire(day):
            print(f"moved {day}: {files} files")
            moved += 1
        else:
            print(f"{day} stays")
    print(f"{len(days) if dry_run else moved} dates" + (f"; but {doubted}" if doubted else ""))
    return 0 if dry_run or moved == len(days) else 1


def erase(
    settings: Settings, subject: Subject, dry_run: bool, wait_s: float, stop: threading.Event
) -> int:
    """Everything that was accepted before this call."""
    if dry_run:
        return _count(settings, subject)
    scheduler = Scheduler(settings, stop)
    if not scheduler.upkeep.can_exchange():
        raise CannotExchange(settings.data_dir)
    _wait_for_ingest(scheduler.spool, wait_s, stop)
    scheduler.compact_all()
    with scheduler.lock():
        rows = 0
        for day in scheduler.lake.dates():
            try:
                counts = erase_date(scheduler.lake, day, subject, scheduler.next_name)
            except UnreadablePart as error:
                scheduler.obstacles.meet(error)
                continue
            if counts:
                rows += sum(counts.values())
                print(f"{day}: {sum(counts.values())} rows of {len(counts)} parts")
        lines = erase_from_quarantine(scheduler.quarantine, subject)
    print(f"erased {rows} rows, and {lines} lines in quarantine")
    if scheduler.obstacles:
        waiting = len(scheduler.obstacles.kept_back)
        print(
            f"NOT erased: what {len(scheduler.obstacles)} parts hold that cannot be read,", end=" "
        )
        print(f"and {waiting} segments that wait for them. Mend them, and erase again.")
    return 1 if scheduler.obstacles else 0


def _count(settings: Settings, subject: Subject) -> int:
    lake, spool = Lake(open_store(settings.data_dir)), spool_folder(settings.data_dir)
    rows = 0
    for day in lake.dates():
        with lake.store.shared():
            counts = rows_of(lake, day, subject)
        if counts:
            rows += sum(counts.values())
            print(f"{day}: would erase {sum(counts.values())} rows of {len(counts)} parts")
    files = Quarantine(settings.data_dir).files()
    lines = sum(subject.mentioned_in(line) for path in files for line in lines_in(path))
    waiting = sum(_count_in(spool, name, subject) for name in list_segments(spool))
    print(f"would erase {rows} rows, {waiting} in the spool, and {lines} lines in quarantine")
    return 0


def _count_in(spool: Path, name: SegmentName, subject: Subject) -> int:
    try:
        with (spool / str(name)).open("rb") as lines:
            return sum(subject.mentioned_in(line) for line in lines)
    except FileNotFoundError:  # closed or compacted in this moment
        return 0


def _wait_for_ingest(spool: Path, wait_s: float, stop: threading.Event) -> None:
    """Until every segment that was open at this moment is closed: ingest does so by their age."""
    deadline = time.monotonic() + wait_s
    awaited = {name for name in list_segments(spool) if _is_written_to(spool, name)}
    if awaited:
        print(f"waiting for ingest to close {len(awaited)} segments", file=sys.stderr)
    while awaited := awaited & set(list_segments(spool)):
        if time.monotonic() > deadline:
            raise SystemExit(
                f"compactor: nothing was erased: after {wait_s:g} s ingest still writes to "
                f"{', '.join(map(str, sorted(awaited)))}. Wait longer, or stop ingest."
            )
        if stop.wait(POLL_S):
            raise SystemExit("compactor: stopped, nothing was erased")


def _is_written_to(spool: Path, name: SegmentName) -> bool:
    try:
        return name.state == OPEN and (spool / str(name)).stat().st_size > 0
    except FileNotFoundError:
        return False
