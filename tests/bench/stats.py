"""How fast report answers, and whether that depends on how much the lake holds.

    python -m tests.bench.stats --events 1000000 10000000 --cache FOLDER

    day                 /stats of one site and date
    30 days             /stats, /stats/timeseries by day, /stats/breakdown by path
    all time            /stats without a date
    day, live spool     the same as day, with 100,000 events of that day in the spool

Report runs as a process and is asked over HTTP by one client (1) and by eight at once (8). Every
question is answered anew, for report keeps no answers, but for the line that says so. ClickHouse
runs inside the process that asks, without HTTP: its best case. Both have the same rows on the same
disk, warm. Not shown: a cold page cache, a network, other load.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
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
ASKS_MIN = 3
CLIENTS = 8

KEEPS_NONE = {"query_s_max": 600, "answers_bytes_max": 0}


def url_of(report: Stage, site: str, question: str) -> str:
    path, parameters = QUESTIONS[question]
    return f"{report.url}{path}?{urlencode({'site_id': site, **parameters})}"


def measure(
    ask: Callable[[], float], cpu_s: Callable[[], float], clients: int = 1
) -> tuple[float, float, float]:
    """p50, p99, and CPU for an answer, in milliseconds."""
    ask()
    cpu_before = cpu_s()
    deadline = time.monotonic() + BUDGET_S

    def client(_: int) -> list[float]:
        times = []
        while len(times) < ASKS_MIN or time.monotonic() < deadline:
            times.append(ask())
        return times

    with ThreadPoolExecutor(clients) as threads:
        times = sorted(t for each in threads.map(client, range(clients)) for t in each)
    cpu = (cpu_s() - cpu_before) / len(times)
    return times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000, cpu * 1000


def cpu_of(report: Stage) -> Callable[[], float]:
    """User and system time of the process, see proc(5)."""
    stat = Path(f"/proc/{report.process.pid}/stat")

    def cpu_s() -> float:
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    return cpu_s


def asker(report: Stage, site: str, question: str) -> Callable[[], float]:
    http = httpx2.Client(timeout=600)

    def ask() -> float:
        url = url_of(report, site, question)
        started = time.perf_counter()
        response = http.get(url)
        assert response.status_code == 200, response.text
        return time.perf_counter() - started

    return ask


def line(name: str, *figures: float) -> None:
    print(f"{name:34}" + "".join(f"{figure:9.1f}" for figure in figures), flush=True)


def compare(report: Stage, run: Callable[[str], object] | None) -> None:
    cpu_s = cpu_of(report)
    for site, kind in ((BIGGEST, "biggest site"), (TINY, "tiny site")):
        for question in QUESTIONS:
            one = measure(asker(report, site, question), cpu_s)
            eight = measure(asker(report, site, question), cpu_s, CLIENTS)
            other: tuple[float, ...] = ()
            if run:
                ask = partial(clickhouse.seconds, run, site, question)
                other = measure(ask, time.process_time)
            line(f"{kind}, {question}", *one, *eight[:2], *other)


def run_one(events: int, cache: Path) -> None:
    data_dir = lake_of(events, cache)
    run = clickhouse.load(data_dir)
    heads = ("p50", "p99", "CPU", "8: p50", "p99", *(("CH: p50", "p99", "CPU") if run else ()))
    print(f"\n{events:,} events".ljust(35) + "".join(f"{head:>9}" for head in heads))
    with running("report", data_dir, **KEEPS_NONE) as report:
        compare(report, run)
        with spool_of(data_dir, 100_000):
            ask = asker(report, BIGGEST, "day")
            one, eight = measure(ask, cpu_of(report)), measure(ask, cpu_of(report), CLIENTS)
            line("biggest site, day, live spool", *one, *eight[:2])
    with running("report", data_dir) as report:
        ask = asker(report, BIGGEST, "day")
        one, eight = measure(ask, cpu_of(report)), measure(ask, cpu_of(report), CLIENTS)
        line("biggest site, day, from the cache", *one, *eight[:2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "footfall-bench"
    )
    arguments = parser.parse_args()
    if len(arguments.events) == 1:
        run_one(arguments.events[0], arguments.cache)
        return
    print(f"{os.cpu_count()} cores, {platform.platform()}, load {os.getloadavg()[0]:.1f}; ms")
    for events in arguments.events:  # chdb opens one folder in the life of a process
        command = [sys.executable, "-m", "tests.bench.stats", "--cache", str(arguments.cache)]
        subprocess.run([*command, "--events", str(events)], check=True)


if __name__ == "__main__":
    main()
