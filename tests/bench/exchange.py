"""How long a date's exchange takes, and what consolidation needs.   python -m tests.bench.exchange

    window        renameat2(2) alone: in that time a listing is of the old folder or the new one
    consolidate   all of it, per date: read, merge, write, sync, exchange, remove

A plain glob that listed a date's folder before its exchange, and looks at its files after it, gets
an error for a missing file, or misses the date. One under the shared lock does not: the exchange
waits for it, which is in `consolidate` and not in `window`. Run it on the disk that matters.
"""

import argparse
import resource
import tempfile
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from compactor.lake.disk import Disk
from compactor.scheduler import Scheduler
from compactor.settings import Settings


class Timed(Disk):
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def can_exchange(self, folder: Path) -> bool:
        return True  # not one of those that are timed

    def exchange(self, one: Path, other: Path) -> None:
        started = time.perf_counter()
        super().exchange(one, other)
        self.seconds.append(time.perf_counter() - started)


def line(at: datetime, n: int) -> str:
    text = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f'{{"site_id":"site-{n % 50}","event_type":"page_view","path":"/{n}","user_id":"{n % 999}",'
        f'"timestamp":"{text}","received_at":"{text}"}}\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dates", type=int, default=50)
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--rows", type=int, default=1_000, help="of each part")
    parser.add_argument("--folder", help="on the disk that is to be measured")
    arguments = parser.parse_args()
    disk = Timed()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        spool = Path(folder) / "spool"
        spool.mkdir()
        passes = Scheduler(Settings(data_dir=folder), threading.Event(), disk)
        days = [date(2026, 1, 1) + timedelta(days=n) for n in range(arguments.dates)]
        for part in range(arguments.parts):
            start = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days]
            lines = [line(at, n) for at in start for n in range(arguments.rows)]
            (spool / f"1767225600000-be7cbe7c-{part:06d}.jsonl").write_text("".join(lines))
            passes.compact_all()
        started = time.perf_counter()
        passes.turn(everything=True)
        seconds = time.perf_counter() - started
    ms = sorted(1000 * each for each in disk.seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(ms)} dates of {arguments.parts} parts of {arguments.rows:,} rows")
    print(f"window        median {ms[len(ms) // 2]:.3f} ms, longest {ms[-1]:.3f} ms")
    print(f"consolidate   {1000 * seconds / len(ms):.0f} ms a date, peak {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
