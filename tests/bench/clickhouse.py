"""ClickHouse (chdb, MergeTree ordered by site and time) with the same rows, asked the same."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.bench.lakes import LAST_DAY

CREATE = """
    CREATE TABLE events (
        site_id LowCardinality(String), event_type LowCardinality(String), path Nullable(String),
        user_id Nullable(String), timestamp DateTime64(6, 'UTC'), event_id Nullable(String),
        referrer Nullable(String), props Nullable(String), received_at DateTime64(6, 'UTC')
    ) ENGINE = MergeTree ORDER BY (site_id, timestamp) PARTITION BY toYYYYMM(timestamp)
"""
VIEWS = "FROM events WHERE site_id = '{site}' AND event_type = 'page_view' {when}"
STATS = (
    f"SELECT count(), uniqExact(user_id) {VIEWS}",
    f"SELECT path, count() AS n {VIEWS} GROUP BY path ORDER BY n DESC, path LIMIT 10",
)
QUESTIONS = {
    "day": STATS,
    "30 days": STATS,
    "all time": STATS,
    "30 days, series": (
        f"SELECT toDate(timestamp) AS d, count(), uniqExact(user_id) {VIEWS} GROUP BY d ORDER BY d",
    ),
    "30 days, breakdown": (
        f"SELECT path, count() AS n, uniqExact(user_id), count() OVER () {VIEWS} "
        "GROUP BY path ORDER BY n DESC, path LIMIT 10",
    ),
}


def load(data_dir: Path) -> Callable[[str], Any] | None:
    """A function that runs SQL; None when chdb is not installed."""
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
        opened.query(CREATE)
        columns = (
            "site_id, event_type, path, user_id, timestamp, event_id, referrer, props, received_at"
        )
        for part in sorted((data_dir / "lake/events").glob("*/*.parquet")):
            opened.query(f"INSERT INTO events SELECT {columns} FROM file('{part}', Parquet)")
        opened.query("OPTIMIZE TABLE events FINAL")
        (folder / "loaded").touch()
    return lambda sql: opened.query(sql, "CSV")


def seconds(run: Callable[[str], Any], site: str, question: str) -> float:
    day, month = f"'{LAST_DAY}'", f"'{LAST_DAY - timedelta(days=29)}'"
    when = f"AND timestamp >= {month} AND timestamp < {day}::Date + 1"
    if question == "day":
        when = f"AND timestamp >= {day} AND timestamp < {day}::Date + 1"
    if question == "all time":
        when = ""
    started = time.perf_counter()
    for sql in QUESTIONS[question]:
        run(sql.format(site=site, when=when))
    return time.perf_counter() - started
