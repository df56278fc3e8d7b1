"""What years cost: /stats of one of three sites over all time, by how long it has been kept.

    python -m tests.bench.years --years 1 5 10 --a-day 300 3000 30000 --cache FOLDER

    first       of a fresh process: p50 of several processes
    warm        the same process again; it keeps no answers
    one file    the same rows in one sorted Parquet file, the same SQL in DuckDB on two threads
    ClickHouse  the same rows in a MergeTree (chdb), inside the process that asks; 0 without chdb
    of goal     warm / (3 × one file + 10 ms)
    files, B    of the lake, and bytes an event

p50 in milliseconds, and CPU of all threads for an answer beside it. The lake is made by the
compactor of what ingest would have written. Report runs as a process and is asked over HTTP; the
others run inside the process that asks: their best case. Not shown: a cold page cache, a network,
other load.

With --visits N: visits, bounce rate and duration of 30 days of the biggest site of N events, of the
columns that settled dates have and by window functions, beside counting views and visitors of the
same rows; and by report itself, as it makes the relation that such a question is asked of, with ten
thousand events of the last day in the spool and without. CPU milliseconds of two threads.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import duckdb

from report.runtime import Runtime
from report.settings import Settings
from report.terms.period import Dates
from report.terms.selection import Selection
from tests.bench import clickhouse
from tests.bench.lakes import BIGGEST, LAST_DAY, fill, spool_of
from tests.bench.lakes import lake_of as events_of_sites
from tests.bench.stats import KEEPS_NONE, asker, cpu_of, measure
from tests.bench.visits import COUNTS, FIGURES, WINDOWS, WRITTEN
from tests.processes import running

SITE = "site-0"
HEADS = ("first", "warm", "CPU", "one file", "CPU", "ClickHouse", "CPU", "of goal", "files", "B")
PROCESSES = 5

ROWS = """
    SELECT concat('site-', n % 3) AS site_id,
        CASE WHEN r1 < 0.9 THEN 'page_view' ELSE 'click' END AS event_type,
        '/page/' || floor(100 * pow(r2, 2))::INT AS path,
        CASE WHEN r3 < 0.95 THEN md5(concat(floor($day / 30), '-',
            floor(pow(r4, 2) * $events)::INT))[:16] END AS user_id,
        to_timestamp($start + r5 * 86399) AS "timestamp",
        CASE WHEN r6 < 0.2 THEN md5(concat($day, '-', n))[:20] END AS event_id,
        CASE WHEN r7 < 0.4 THEN concat('https://ref', (50 * r2)::INT, '.example/') END AS referrer,
        NULL::VARCHAR AS props, to_timestamp($start + 86400) AS received_at
    FROM (SELECT n, {draws} FROM range($events) AS t(n))
""".format(draws=", ".join(f"random() AS r{i}" for i in range(1, 8)))
STATS = """
    SELECT count(*), count(DISTINCT user_id), (
        SELECT list(top) FROM (
            SELECT path, count(*) AS views FROM '{file}'
            WHERE site_id = '{site}' AND event_type = 'page_view' AND bot IS NULL
            GROUP BY path ORDER BY views DESC, path LIMIT 10) AS top)
    FROM '{file}' WHERE site_id = '{site}' AND event_type = 'page_view' AND bot IS NULL
"""


def lake_of(years: int, a_day: int, cache: Path) -> Path:
    data_dir = cache / f"years-{years}-{a_day}"
    dates = [LAST_DAY - timedelta(days=n) for n in range(365 * years)]
    fill(data_dir, dates, ROWS, a_day, events=a_day)
    return data_dir


def in_one_file(data_dir: Path) -> Path:
    path = data_dir / "one.parquet"
    if not path.exists():
        with duckdb.connect() as database:
            glob = f"{data_dir}/lake/events/*/*.parquet"
            database.execute(f"""
                COPY (FROM read_parquet('{glob}', hive_partitioning = false)
                      ORDER BY site_id, "timestamp") TO '{path}' (COMPRESSION zstd)""")
    return path


def of_one_file(path: Path) -> tuple[float, float]:
    with duckdb.connect(config={"threads": 2}) as database:
        sql = STATS.format(file=path, site=SITE)

        def ask() -> float:
            started = time.perf_counter()
            database.execute(sql).fetchall()
            return time.perf_counter() - started

        return here(ask)


def here(ask: Callable[[], float]) -> tuple[float, float]:
    """p50, and CPU for an answer, of what is asked inside this process."""
    p50_ms, _, cpu_ms = measure(ask, time.process_time)
    return p50_ms, cpu_ms


def first_of_a_process(data_dir: Path) -> float:
    with running("report", data_dir, **KEEPS_NONE) as report:
        return asker(report, SITE, "all time")() * 1000


def warm(data_dir: Path) -> tuple[float, float]:
    with running("report", data_dir, **KEEPS_NONE) as report:
        p50_ms, _, cpu_ms = measure(asker(report, SITE, "all time"), cpu_of(report))
        return p50_ms, cpu_ms


def run_one(years: int, a_day: int, cache: Path) -> None:
    data_dir = lake_of(years, a_day, cache)
    run = clickhouse.load(data_dir)
    files = list(data_dir.glob("lake/events/*/*.parquet"))
    size = sum(path.stat().st_size for path in files) / (365 * years * a_day)
    first = statistics.median(first_of_a_process(data_dir) for _ in range(PROCESSES))
    again, one = warm(data_dir), of_one_file(in_one_file(data_dir))
    other = here(partial(clickhouse.seconds, run, SITE, "all time")) if run else (0.0, 0.0)
    of_goal = again[0] / (3 * one[0] + 10)
    figures = [f"{each:.1f}" for each in (first, *again, *one, *other)]
    figures += [f"{of_goal:.2f}", str(len(files)), f"{size:.1f}"]
    print(
        f"{years:3} years × {a_day:6,} a day" + "".join(map("{:>11}".format, figures)), flush=True
    )


def compare_visits(events: int, cache: Path) -> None:
    data_dir = events_of_sites(events, cache)
    last = LAST_DAY - timedelta(days=1)  # the spool is of the last one
    days = Dates(last - timedelta(days=29), last)
    with duckdb.connect(config={"threads": 2}) as database:
        database.execute("SET TimeZone = 'UTC'")
        glob = f"read_parquet('{data_dir}/lake/events/*/*.parquet', hive_partitioning = false)"
        dated = f"date BETWEEN '{days.first}' AND '{days.last}'"
        rows = f"(SELECT * FROM {glob} WHERE {dated})"
        for name, sql in (
            ("views and visitors", COUNTS.format(events=rows, site=BIGGEST)),
            ("visits by columns", WRITTEN.format(events=rows, site=BIGGEST, figures=FIGURES)),
            ("visits by windows", WINDOWS.format(events=rows, site=BIGGEST, figures=FIGURES)),
        ):
            told, cpu_ms = of_cpu(lambda sql=sql: database.execute(sql).fetchall())
            print(f"{name:34}{cpu_ms:9.1f}   {told}", flush=True)
    for spool in (0, 10_000):
        with spool_of(data_dir, spool) if spool else nullcontext():
            runtime = Runtime(Settings(data_dir=str(data_dir)))
            ask = partial(of_report, runtime, Dates(days.first, LAST_DAY))
            print(f"by report, {spool:6,} in the spool{of_cpu(ask)[1]:14.1f}", flush=True)


def of_report(runtime: Runtime, dates: Dates) -> object:
    cursor = runtime.cursor()
    snapshot = runtime.snapshots.take(dates, BIGGEST)
    relation = runtime.relation(cursor, snapshot, BIGGEST)
    every: dict[str, Any] = {"event_type": "", "first": dates.first, "last": dates.last}
    asked = Selection(site_id=BIGGEST, **every)
    return relation.rows(relation.events_with_visits(asked), f" SELECT {FIGURES} FROM events")


def of_cpu(ask: Callable[[], object]) -> tuple[object, float]:
    """What it says, and the median of CPU milliseconds, after a first time."""
    told, times = ask(), []
    for _ in range(9):
        started = time.process_time()
        ask()
        times.append(time.process_time() - started)
    return told, statistics.median(times) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--years", type=int, nargs="+", default=[1, 5, 10])
    parser.add_argument("--a-day", type=int, nargs="+", default=[300, 3_000, 30_000])
    parser.add_argument("--visits", type=int, metavar="EVENTS")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "footfall-bench"
    )
    arguments = parser.parse_args()
    if arguments.visits:
        compare_visits(arguments.visits, arguments.cache)
        return
    if len(arguments.years) == len(arguments.a_day) == 1:
        run_one(arguments.years[0], arguments.a_day[0], arguments.cache)
        return
    print(f"{os.cpu_count()} cores, {platform.platform()}, load {os.getloadavg()[0]:.1f}; ms")
    print(" " * 24, *map("{:>10}".format, HEADS), flush=True)
    for years, a_day in product(arguments.years, arguments.a_day):
        # chdb opens one folder in the life of a process
        command = [sys.executable, "-m", "tests.bench.years", "--cache", str(arguments.cache)]
        subprocess.run([*command, "--years", str(years), "--a-day", str(a_day)], check=True)


if __name__ == "__main__":
    main()
