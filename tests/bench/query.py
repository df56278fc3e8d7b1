"""A dashboard's questions in the language of POST /query, beside ClickHouse.

    python -m tests.bench.query --events 1000000 10000000 --cache FOLDER

Twelve questions about the biggest of 200 sites and its last 30 of 40 days, two funnels of three
steps and journeys; and of another site, whose visitors go by names, who came back. All are asked of
report as a process over HTTP by one client (1) and by eight at once (8); every question has another
limit, so that no answer comes from report's cache. `views` counts views and visitors alone, to
compare with.

ClickHouse (chdb, MergeTree ordered by site and time) runs inside the process that asks, without
HTTP, and is given more than report has: besides the same rows the visits that each belongs to and
their sums, worked out before, and source and channel as stored columns. The figures that both tell
are compared. Not shown: a cold page cache, a network, other load.

Ordinary traffic, made: visits of 2.8 views, most followed by engagement, a sign-up in twenty; 3 %
of visits are robots'. The lake is what the compactor makes of it.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import httpx2
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compactor.lake.visits import add_visits
from report.terms import sources
from tests.bench.stats import CLIENTS, cpu_of, line, measure
from tests.processes import Stage, compact_once, running

DAYS = 40
LAST_DAY = date(2025, 11, 12)
FIRST = datetime(2025, 11, 13, tzinfo=UTC) - timedelta(days=DAYS)
MONTH = [str(LAST_DAY - timedelta(days=29)), str(LAST_DAY)]
WEEKS = [str(LAST_DAY - timedelta(days=DAYS - 1)), str(LAST_DAY)]
BIGGEST, WITH_NAMES = "site-000", "site-001"
EVENTS_A_VISIT = 5.1
SEGMENT_ROWS = 200_000
_limits = count()

TRAFFIC = """
    WITH visit AS (
        SELECT n, 'site-' || lpad(floor(200 * pow(r1, 3))::INT::VARCHAR, 3, '0') AS site_id,
            floor(40 * r2)::INT AS day, day * 86400 + r3 * 84000 AS start,
            CASE WHEN site_id = 'site-001' THEN concat('user-', floor($visits / 60 * r5))
                ELSE 'd:' || md5(concat(day, site_id, floor($visits / 40 * r5)))[:16]
                END AS user_id,
            CASE WHEN r6 < 0.03 THEN 'search' END AS bot,
            CASE WHEN r7 < 0.3 THEN 'https://www.google.com/' WHEN r7 < 0.4 THEN 'https://t.co/'
                WHEN r7 < 0.6 THEN concat('https://ref', (50 * r8)::INT, '.example/')
                END AS referrer,
            CASE WHEN r7 > 0.9 THEN 'newsletter' END AS utm_source,
            ['DE', 'US', 'FR', 'GB', 'EE', 'JP'][1 + floor(6 * r8 * r8)::INT] AS country,
            if(r4 < 0.6, 'mobile', 'desktop') AS device,
            ['Chrome', 'Safari', 'Firefox'][1 + floor(3 * r4)::INT] AS browser,
            1 + floor(-ln(1 - r9) * 2.3)::INT AS views
        FROM (SELECT n, {draws} FROM range($visits::BIGINT) AS t(n))
    ), view AS (
        SELECT *, unnest(range(views)) AS nth,
            '/page/' || floor(400 * pow(random(), 2))::INT AS path,
            start + nth * 70 + 50 * random() AS moment,
            floor(-ln(1 - random()) * 18000)::BIGINT AS ms
        FROM visit
    ), event AS (
        SELECT *, 'page_view' AS event_type, moment AS seen FROM view
        UNION ALL SELECT *, 'engagement', moment + least(ms / 1000, 60) FROM view
            WHERE random() < 0.8
        UNION ALL SELECT *, 'signup', moment + 5 FROM view WHERE random() < 0.02
    )
    SELECT site_id, event_type, path, user_id, to_timestamp($first + seen) AS "timestamp",
        CASE WHEN nth = 0 AND event_type = 'page_view' THEN referrer END AS referrer,
        CASE WHEN nth = 0 AND event_type = 'page_view' THEN utm_source END AS utm_source,
        CASE WHEN event_type = 'signup' THEN '{{"plan":"pro","amount":9}}'::JSON END AS props,
        browser, device, bot, country,
        CASE WHEN event_type = 'engagement' THEN least(ms, 60000) END AS engaged_ms,
        "timestamp" AS received_at
    FROM event ORDER BY "timestamp"
"""

VIEWED = ["is", "event:name", ["page_view"]]
# No event is two of them: windowFunnel would begin anew with one that is the first step, too
STEPS = [
    ["and", [VIEWED, ["matches", "event:page", ["^/page/[0-9]$"]]]],
    ["and", [VIEWED, ["matches", "event:page", ["^/page/[0-9][0-9]$"]]]],
    ["is", "event:name", ["signup"]],
]
SIGNUP = {"name": "Signup", "event": "signup"}
QUESTIONS: dict[str, dict[str, Any]] = {
    "views": {"metrics": ["visitors", "pageviews"]},
    "visits": {"metrics": ["visits", "bounce_rate", "visit_duration"]},
    "by day": {"metrics": ["visitors", "pageviews"], "dimensions": ["time:day"]},
    "visits by day": {"metrics": ["visits", "bounce_rate"], "dimensions": ["time:day"]},
    "by source": {"metrics": ["visits", "bounce_rate"], "dimensions": ["visit:source"]},
    "by channel": {"metrics": ["visitors", "visits"], "dimensions": ["visit:channel"]},
    "pages": {"metrics": ["visitors", "pageviews"], "dimensions": ["event:page"]},
    "entry pages": {"metrics": ["visits", "bounce_rate"], "dimensions": ["visit:entry_page"]},
    "exit pages": {"metrics": ["visits"], "dimensions": ["visit:exit_page"]},
    "countries": {"metrics": ["visitors"], "dimensions": ["visit:country"]},
    "devices": {"metrics": ["visits", "visit_duration"], "dimensions": ["visit:device"]},
    "sign-ups by country": {
        "metrics": ["visitors", "events"],
        "dimensions": ["visit:country"],
        "filters": [["is", "event:goal", ["Signup"]]],
        "goals": [SIGNUP],
    },
    "visits that saw a page": {
        "metrics": ["visits", "bounce_rate"],
        "filters": [["is", "event:page", ["/page/1"]]],
    },
    "funnel of three steps": {"steps": STEPS},
    "funnel of visits": {"steps": STEPS, "unit": "visit"},
    "journeys": {"from": "/page/1"},
    "retention of six weeks": {"site_id": WITH_NAMES, "date_range": WEEKS},
}
PATHS = {
    "funnel of three steps": "/funnel",
    "funnel of visits": "/funnel",
    "journeys": "/journeys",
    "retention of six weeks": "/retention",
}
IS_EVENT = "event_type <> 'engagement'"
BOUNCES = "countIf(visit_views = 1 AND visit_events = 0 AND visit_engaged_ms < 10000)"
BOUNCE = f"round(100 * {BOUNCES} / countIf(visit_views > 0), 2)"
VISITORS = "uniqExact(user_id)"
VIEWS = "countIf(event_type = 'page_view')"
OF_SITE = f"""FROM events WHERE site_id = '{BIGGEST}' AND bot IS NULL
    AND timestamp >= '{MONTH[0]}' AND timestamp < toDate('{MONTH[1]}') + 1"""
EVENTS, VISITS = f"{OF_SITE} AND {IS_EVENT}", f"{OF_SITE} AND visit_views IS NOT NULL"
MS = "round(sum(visit_ms) / 1000 / count(), 2)"
SAW = f"(user_id, date, visit) IN (SELECT user_id, date, visit {EVENTS} AND path = '/page/1')"


LEVEL = """windowFunnel(86400000000, 'strict_increase')(
    toUInt64(toUnixTimestamp64Micro(timestamp)),
    event_type = 'page_view' AND match(path, '^/page/[0-9]$'),
    event_type = 'page_view' AND match(path, '^/page/[0-9][0-9]$'),
    event_type = 'signup'
)"""


def funnel(unit: str, among: str) -> str:
    counts = ", ".join(f"countIf(level >= {n})" for n in (1, 2, 3))
    return f"SELECT {counts} FROM (SELECT {LEVEL} AS level {among} GROUP BY {unit})"


def grouped(key: str, figures: str, among: str) -> str:
    return f"SELECT {key} AS k, {figures} {among} GROUP BY k"


CLICKHOUSE = {
    "views": f"SELECT {VISITORS}, {VIEWS} {EVENTS}",
    "visits": f"SELECT count(), {BOUNCE}, {MS} {VISITS}",
    "by day": grouped("toDate(timestamp)", f"{VISITORS}, {VIEWS}", EVENTS),
    "visits by day": grouped("toDate(timestamp)", f"count(), {BOUNCE}", VISITS),
    "by source": grouped("source", f"count(), {BOUNCE}", VISITS),
    "by channel": grouped("channel", f"{VISITORS}, count()", VISITS),
    "pages": grouped("path", f"{VISITORS}, {VIEWS}", EVENTS),
    "entry pages": grouped("path", f"count(), {BOUNCE}", VISITS),
    "exit pages": grouped("visit_exit", "count()", VISITS),
    "countries": grouped("country", VISITORS, EVENTS),
    "devices": grouped("device", f"count(), {MS}", VISITS),
    "sign-ups by country": grouped(
        "country", f"{VISITORS}, count()", f"{EVENTS} AND event_type = 'signup'"
    ),
    "visits that saw a page": f"SELECT count(), {BOUNCE} {VISITS} AND {SAW}",
    "funnel of three steps": funnel("user_id", EVENTS),
    "funnel of visits": funnel("user_id, date, visit", f"{EVENTS} AND visit IS NOT NULL"),
    "journeys": f"""SELECT count() AS visits FROM (
            SELECT arrayCompact(arraySort(x -> x.1, groupArray((timestamp, path))).2) AS pages,
                indexOf(pages, '/page/1') AS first, arraySlice(pages, first, 5) AS way
            {EVENTS} AND event_type = 'page_view' AND visit IS NOT NULL
            GROUP BY user_id, date, visit HAVING first > 0
        ) GROUP BY way ORDER BY visits DESC LIMIT 100""",
    "retention of six weeks": f"""SELECT cohort, week, count() FROM (
            SELECT week, min(week) OVER (PARTITION BY user_id) AS cohort FROM (
                SELECT DISTINCT user_id, toMonday(timestamp) AS week FROM events
                WHERE site_id = '{WITH_NAMES}' AND bot IS NULL AND user_id IS NOT NULL
                    AND {IS_EVENT} AND timestamp >= '{WEEKS[0]}'
                    AND timestamp < toDate('{WEEKS[1]}') + 1
            )
        ) GROUP BY cohort, week""",
}
CREATE = """
    CREATE TABLE events ENGINE = MergeTree ORDER BY (site_id, timestamp)
    PARTITION BY toYYYYMM(timestamp) SETTINGS allow_nullable_key = 1
    AS SELECT * REPLACE (toLowCardinality(assumeNotNull(site_id)) AS site_id,
        toLowCardinality(assumeNotNull(event_type)) AS event_type,
        assumeNotNull(timestamp) AS timestamp) FROM file('{rows}', Parquet)
"""


def make(data_dir: Path, events: int) -> None:
    """The lake, and the same rows in a file for the other one."""
    (data_dir / "spool").mkdir(parents=True, exist_ok=True)
    visits = int(events / EVENTS_A_VISIT)
    draws = ", ".join(f"random() AS r{n}" for n in range(1, 10))
    with duckdb.connect(config={"threads": 1}) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute("SELECT setseed(0.5)").fetchall()
        parameters = {"visits": visits, "first": FIRST.timestamp()}
        rows = database.sql(TRAFFIC.format(draws=draws), params=parameters).to_arrow_table()
        told = add_visits(rows).append_column("date", pc.cast(rows["timestamp"], "date32"))
        for name in ("hostname", "click_id", "utm_medium", "utm_campaign"):
            told = told.append_column(
                name, database.sql("SELECT NULL::VARCHAR AS x FROM rows").to_arrow_table()["x"]
            )
        sources.define(database)
        written = database.sql(
            f"SELECT *, {sources.SOURCE} AS source, {sources.CHANNEL} AS channel FROM told"
        )
        pq.write_table(written.to_arrow_table(), data_dir / "rows.parquet")
        spool(data_dir, database, rows)
    compact_once(data_dir)
    (data_dir / "complete").touch()


def spool(data_dir: Path, database: duckdb.DuckDBPyConnection, rows: Any) -> None:
    instant = "strftime({}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    times = ", ".join(
        f"{instant.format(name)} AS {name}" for name in ('"timestamp"', "received_at")
    )
    for n, start in enumerate(range(0, rows.num_rows, SEGMENT_ROWS)):
        piece = rows.slice(start, SEGMENT_ROWS)  # noqa: F841
        lines = database.sql(
            f"""SELECT json_merge_patch('{{}}', to_json(row))::VARCHAR AS line
            FROM (SELECT * REPLACE ({times}, props::JSON AS props) FROM piece) AS row"""
        ).to_arrow_table()["line"]
        name = f"{int(FIRST.timestamp() * 1000) + n:013d}-be7cbe7c-{n:06d}.jsonl"
        text = "\n".join(lines.to_pylist()) + "\n"
        (data_dir / "spool" / name).write_text(text, encoding="utf-8")


def load(data_dir: Path) -> Callable[[str], Any] | None:
    """A function that runs SQL in ClickHouse; None when chdb is not installed."""
    try:
        from chdb import session
    except ImportError:
        return None
    folder = data_dir / "clickhouse"
    is_new = not (folder / "loaded").exists()
    opened = session.Session(str(folder))
    opened.query("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
    opened.query("USE bench")
    if is_new:
        opened.query("DROP TABLE IF EXISTS events")
        opened.query(CREATE.format(rows=data_dir / "rows.parquet"))
        opened.query("OPTIMIZE TABLE events FINAL")
        (folder / "loaded").touch()
    return lambda sql: opened.query(sql, "JSONCompact")


def body_of(name: str) -> dict[str, Any]:
    return {"site_id": BIGGEST, "date_range": MONTH, **QUESTIONS[name]}


def asker(report: Stage, name: str) -> Callable[[], float]:
    http = httpx2.Client(timeout=600)
    url = report.url + PATHS.get(name, "/query")

    def ask() -> float:
        nth = next(_limits)
        other = {"pagination": {"limit": 1_000 + nth % 9_000}}
        if PATHS.get(name) == "/retention":
            other = {"periods": 10 + nth % 900}
        started = time.perf_counter()
        answer = http.post(url, json=body_of(name) | other)
        assert answer.status_code == 200, answer.text
        return time.perf_counter() - started

    return ask


def seconds(run: Callable[[str], Any], sql: str) -> float:
    started = time.perf_counter()
    run(sql)
    return time.perf_counter() - started


def agree(report: Stage, run: Callable[[str], Any], name: str) -> bool:
    url = report.url + PATHS.get(name, "/query")
    told = httpx2.post(url, json=body_of(name), timeout=600).json()["results"]
    ours = sorted([round(float(each), 1) for each in figures(row)] for row in told if figures(row))
    rows = json.loads(str(run(CLICKHOUSE[name])))["data"]
    if PATHS.get(name) == "/retention":
        cohorts = sorted({row[0] for row in rows})
        rows = [[int(row[2]) for row in sorted(rows) if row[0] == first] for first in cohorts]
    keys = len(QUESTIONS[name].get("dimensions", []))
    return ours == sorted([round(float(each), 1) for each in row[keys:]] for row in rows)


def figures(row: dict[str, Any]) -> list[Any]:
    """Of a row of an answer to whichever question."""
    if "steps" in row:
        return [step["count"] for step in row["steps"]]
    if "cohort" in row:
        return [each for each in (row["visitors"], *row["returned"]) if each]
    return list(row["metrics"]) if "metrics" in row else [row["visits"]]


def memory_mib(report: Stage) -> float:
    """The most that the process has had at a time."""
    status = Path(f"/proc/{report.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def run_one(events: int, cache: Path) -> None:
    data_dir = cache / f"query-{events}"
    if not (data_dir / "complete").exists():
        make(data_dir, events)
    run = load(data_dir)
    heads = ("p50", "p99", "CPU", "8: p50", "p99", *(("CH: p50", "p99", "CPU") if run else ()))
    print(f"\n{events:,} events".ljust(35) + "".join(f"{head:>9}" for head in heads))
    with running("report", data_dir, query_s_max=600) as report:
        cpu_s = cpu_of(report)
        for name in QUESTIONS:
            one = measure(asker(report, name), cpu_s)
            eight = measure(asker(report, name), cpu_s, CLIENTS)
            other: tuple[float, ...] = ()
            if run:
                other = measure(partial(seconds, run, CLICKHOUSE[name]), time.process_time)
            line(name, *one, *eight[:2], *other)
            if run and not agree(report, run, name):
                print(f"    {name}: the two do not tell the same")
        print(f"memory of report, at most: {memory_mib(report):.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
        command = [sys.executable, "-m", "tests.bench.query", "--cache", str(arguments.cache)]
        subprocess.run([*command, "--events", str(events)], check=True)


if __name__ == "__main__":
    main()
