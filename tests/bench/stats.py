"""How fast report answers, and whether that depends on how much the lake holds.

    python -m tests.bench.stats --events 1000000 10000000 --cache FOLDER

    day                 /stats of one site and date
    30 days             /stats, /stats/timeseries by day, /stats/breakdown by path
    all time            /stats without a date
    day, live spool     the same as day, with 100,000 events of that day in the spool

Report runs as a process and is asked over HTTP by one client (1) and by eight at once (8). Every
question is spelled differently, so that no answer comes from report's cache, but for the lines that
say so. ClickHouse runs inside the process that asks, without HTTP: its best case. Both have the
same rows on the same disk, warm. Not shown: a cold page cache, a network, other load.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import httpx2

from tests.bench import clickhouse
from tests.bench.lakes import BIGGEST, LAST_DAY, TINY, lake_of, spool_of
from tests.processes import Stage, running

MONTH = {"from": str(LAST_DAY - timedelta(days=29)), "to": str(LAST_DAY)}
QUESTIONS = {
    "day": ("/stats", {"date": str(LAST_DAY)}),
    "30 days": ("/stats", MONTH),
    "30 days, series": ("/stats/timeseries", MONTH),
    "30 days, breakdown": ("/stats/breakdown", {**MONTH, "by": "path"}),
    "all time": ("/stats", {}),
}
BUDGET_S = 3.0
ASKS_MIN = 5
CLIENTS = 8

_spellings = count()


def url_of(report: Stage, site: str, question: str, spelling: int) -> str:
    """The same question has many spellings: each character may be escaped, and & may repeat."""
    path, parameters = QUESTIONS[question]
    spelled = "".join(
        f"%{ord(letter):02x}" if spelling >> n & 1 else letter for n, letter in enumerate(site)
    )
    rest = "&" * (1 + (spelling >> len(site))) + urlencode(parameters)
    return f"{report.url}{path}?site_id={spelled}{rest}"


def measure(ask: Callable[[], float], clients: int = 1) -> tuple[float, float]:
    """p50 and p99, in milliseconds."""
    ask()
    deadline = time.monotonic() + BUDGET_S

    def client(_: int) -> list[float]:
        times = []
        while len(times) < ASKS_MIN or time.monotonic() < deadline:
            times.append(ask())
        return times

    with ThreadPoolExecutor(clients) as threads:
        times = sorted(t for each in threads.map(client, range(clients)) for t in each)
    return times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000


def asker(report: Stage, site: str, question: str, cached: bool = False) -> Callable[[], float]:
    http = httpx2.Client(timeout=120)

    def ask() -> float:
        url = url_of(report, site, question, 0 if cached else next(_spellings) % 10_000)
        started = time.perf_counter()
        response = http.get(url)
        assert response.status_code == 200, response.text
        return time.perf_counter() - started

    return ask


def line(name: str, *figures: float | None) -> None:
    print(f"{name:40}" + "".join(f"{'':>10}" if f is None else f"{f:10.1f}" for f in figures))


def compare(report: Stage, run: Callable[[str], object] | None, skip_eight: bool) -> None:
    for site, kind in ((BIGGEST, "biggest site"), (TINY, "tiny site")):
        for question in QUESTIONS:
            one = measure(asker(report, site, question))
            eight = None, None
            if not skip_eight:
                eight = measure(asker(report, site, question), CLIENTS)
            other: tuple[float | None, float | None] = None, None
            if run:
                other = measure(lambda s=site, q=question: clickhouse.seconds(run, s, q))
            line(f"{kind}, {question}", *one, *eight, *other)
    line("biggest site, day, from the cache", *measure(asker(report, BIGGEST, "day", cached=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "footfall-bench"
    )
    parser.add_argument("--one-client", action="store_true", help="leave out the eight")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.platform()}, load {os.getloadavg()[0]:.1f}; ms")
    for events in arguments.events:
        data_dir = lake_of(events, arguments.cache)
        run = clickhouse.load(data_dir)
        print(
            f"\n{events:,} events{'':28}{'1: p50':>10}{'p99':>10}{'8: p50':>10}{'p99':>10}"
            f"{'CH: p50':>10}{'p99':>10}"
        )
        with running("report", data_dir) as report:
            compare(report, run, arguments.one_client)
            with spool_of(data_dir, 100_000):
                one = measure(asker(report, BIGGEST, "day"))
                eight = measure(asker(report, BIGGEST, "day"), CLIENTS)
                line("biggest site, day, live spool", *one, *eight)


if __name__ == "__main__":
    main()
