"""What an operator runs by hand, beside a running compactor: verify, expire, erase."""

import sys
import threading
import time
from pathlib import Path

from tqdm import tqdm

from compactor.jobs.erase import Subject, erase_from_quarantine, erase_in, rows_of
from compactor.jobs.expire import to_restore
from compactor.jobs.verify import Verification
from compactor.lake.disk import CannotExchange
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
    parts = verification.count()
    with tqdm(total=parts, desc="verify", unit=" parts", disable=not sys.stderr.isatty()) as bar:

        def step() -> None:
            bar.update()
            if stop.is_set():
                raise SystemExit("compactor: stopped before everything was checked")

        for finding in verification.run(step):
            tqdm.write(finding, file=sys.stdout)
    print(verification.summary())
    return 1 if verification.findings else 0


def expire(
    settings: Settings, dry_run: bool, undo: bool, force: bool, stop: threading.Event
) -> int:
    """Status 1 if a date has to stay that should move."""
    if not settings.retention_days and not undo:
        raise SystemExit("compactor: COMPACTOR_RETENTION_DAYS is not set: every date stays")
    scheduler = Scheduler(settings, stop)
    if undo:
        return _restore(scheduler, dry_run)
    days = scheduler.upkeep.due()
    doubted = None if force else scheduler.upkeep.doubt(days)
    if doubted and not dry_run:
        raise SystemExit(f"compactor: nothing was moved: {doubted}. If that is right: --force")
    moved = scheduler.expire(max(days)) if days and not dry_run else []
    for day in days:
        print(
            f"would move {day}" if dry_run else f"moved {day}" if day in moved else f"{day} stays"
        )
    done = days if dry_run else moved
    print(f"{len(done)} dates" + (f"; but {doubted}" if doubted else ""))
    return 0 if len(done) == len(days) else 1


def _restore(scheduler: Scheduler, dry_run: bool) -> int:
    if dry_run:
        parts = to_restore(scheduler.lake, scheduler.upkeep.last_due())
        told = [(part, True) for part in parts]
    else:
        told = list(scheduler.restore())
    for part, is_back in told:
        said = "would move back" if dry_run else "moved back" if is_back else "stays out:"
        print(f"{said} {part.first} to {part.last}, {part.path}")
    moved = sum(is_back for _, is_back in told)
    print(f"{moved} parts")
    return 0 if moved == len(told) else 1


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
        for folder in scheduler.lake.folders():
            found = erase_in(scheduler.lake, folder, subject, scheduler.next_name)
            for error in found.unreadable:
                scheduler.obstacles.meet(error)
            if found.rows:
                rows += found.count
                print(f"{folder.name}: {found.count} rows of {len(found.rows)} parts")
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
    for folder in lake.folders():
        with lake.store.shared():
            found = rows_of(lake, folder, subject)
        for error in found.unreadable:
            print(error, file=sys.stderr)
        if found.rows:
            rows += found.count
            print(f"{folder.name}: would erase {found.count} rows of {len(found.rows)} parts")
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
