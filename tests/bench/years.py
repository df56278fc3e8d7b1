"""What years cost: /stats of one of three sites over all time, by how long it has been kept.

    python -m tests.bench.years --years 1 5 10 --a-day 300 3000 30000 --cache FOLDER

    first       of a fresh process: p50 of several processes
    warm        the same process again, each question spelled differently
    one file    the same rows in one sorted Parquet file, the same SQL in DuckDB on two threads
    ClickHouse  the same rows in a MergeTree (chdb), inside the process that asks; - without chdb
    files, B    of the lake, and bytes an event

Milliseconds. The lake is made by the compactor of what ingest would have written. Report runs as a
process and is asked over HTTP; the others run inside the process that asks: their best case.
Not shown: a cold page cache, a network, other load.

With --visits: visits, bounce rate and duration of 30 days of the biggest site of ten million
events, of the columns that settled dates have and by window functions over the same rows.
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
from datetime import timedelta
from functools import partial
from pathlib import Path

import duckdb

from tests.bench import clickhouse
from tests.bench.lakes import LAST_DAY, fill
from tests.bench.stats import asker, measure
from tests.processes import running

SITE = "site-0"
PROCESSES = 5
ASKS = 20

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


def of_one_file(path: Path) -> float:
    with duckdb.connect(config={"threads": 2}) as database:
        sql = STATS.format(file=path, site=SITE)

        def ask() -> float:
            started = time.perf_counter()
            database.execute(sql).fetchall()
            return time.perf_counter() - started

        return p50(ask)


def p50(ask: Callable[[], float], asks: int = ASKS) -> float:
    """Milliseconds, after a first time that is not counted."""
    ask()
    return statistics.median(ask() for _ in range(asks)) * 1000


def first_of_a_process(data_dir: Path) -> float:
    with running("report", data_dir, query_s_max=600) as report:
        return asker(report, SITE, "all time")() * 1000


def warm(data_dir: Path) -> tuple[float, float]:
    """p50, and CPU for an answer."""
    with running("report", data_dir, query_s_max=600) as report:
        ask = asker(report, SITE, "all time")
        ask()
        p50_ms, _, cpu_ms = measure(ask, cpu_of(report))
        return p50_ms, cpu_ms


def run_one(years: int, a_day: int, cache: Path) -> None:
    data_dir = lake_of(years, a_day, cache)
    run = clickhouse.load(data_dir)
    files = list(data_dir.glob("lake/events/*/*.parquet"))
    size = sum(path.stat().st_size for path in files) / (365 * years * a_day)
    first = statistics.median(first_of_a_process(data_dir) for _ in range(PROCESSES))
    again, cpu = warm(data_dir)
    one = of_one_file(in_one_file(data_dir))
    other = (
        f"{p50(partial(clickhouse.seconds, run, SITE, 'all time')):10.1f}" if run else " " * 9 + "-"
    )
    print(
        f"{years:3} years × {a_day:6,} a day{first:10.1f}{again:8.1f}{cpu:8.1f}{one:10.1f}{other}"
        f"{again / (3 * one + 10):12.2f}{len(files):7}{size:6.1f}",
        flush=True,
    )
