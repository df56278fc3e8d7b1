"""Questions over the lake and the spool, answered by DuckDB: exact, and fresh to the last event."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake import Lake, Part
from ingest.segment import spool_folder
from report.live import LIVE_SCHEMA, Live
from report.problem import Code, Problem
from report.settings import Settings

TRIES_MAX = (
    5  # parts vanish when a date is consolidated: once a date, so a second try finds the new one
)

# One row per event of a site. Of events with the same site, date and event_id one counts, the one
# that the lake has or will have: what is stored already, then what was received first.
EVENTS = """
    WITH stored AS (
        SELECT date, event_type, path, user_id, event_id FROM {lake} WHERE site_id = $site
    ), waiting AS (
        SELECT * FROM live WHERE site_id = $site
    ), fresh AS (
        SELECT * FROM waiting WHERE event_id IS NULL
        UNION ALL
        SELECT * FROM waiting ANTI JOIN stored USING (date, event_id) WHERE event_id IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY date, event_id ORDER BY received_at, line) = 1
    ), events AS (
        SELECT event_type, path, user_id FROM stored
        UNION ALL
        SELECT event_type, path, user_id FROM fresh
    )
"""

STATS = (
    EVENTS
    + """
    , views AS MATERIALIZED (
        SELECT path, user_id FROM events WHERE event_type = 'page_view'
    ), top AS (
        SELECT path, count(*) AS views FROM views WHERE path IS NOT NULL
        GROUP BY path ORDER BY views DESC, path LIMIT $limit
    )
    SELECT count(*), count(DISTINCT user_id),
           (SELECT list({{'path': path, 'views': views}} ORDER BY views DESC, path) FROM top)
    FROM views
"""
)


@dataclass(frozen=True, slots=True)
class Span:
    """UTC dates, both ends included; None is an open end."""

    first: date | None = None
    last: date | None = None

    def __contains__(self, day: date) -> bool:
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)


class Reports:
    """Answers questions about one data folder. `stats` may be called from several threads."""

    def __init__(self, settings: Settings) -> None:
        self._lake = Lake(settings.data_dir)
        self._live = Live(spool_folder(settings.data_dir))
        self._database = connect(settings)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """What one question runs on; `interrupt()` on it ends the question."""
        return self._database.cursor()

    def stats(
        self, cursor: duckdb.DuckDBPyConnection, site: str, span: Span, limit: int = 10
    ) -> dict[str, Any]:
        """Views and distinct users of page_view events, and the most viewed paths, ties by path."""
        views, users, paths = self._fetch_one(cursor, STATS, span, site=site, limit=limit)
        return {"total_views": views, "unique_users": users, "top_paths": paths or []}

    def close(self) -> None:
        self._live.close()
        self._database.close()

    def _fetch_one(
        self, cursor: duckdb.DuckDBPyConnection, sql: str, span: Span, **parameters: Any
    ) -> tuple[Any, ...]:
        for _ in range(TRIES_MAX):
            try:
                parts, live = self._snapshot(span)
                cursor.register("live", live)
                if parts:
                    parameters["parts"] = [str(self._lake.path(part)) for part in parts]
                lake = (
                    "read_parquet($parts, hive_partitioning = true)"
                    if parts
                    else "(FROM live LIMIT 0)"
                )
                row = cursor.execute(sql.format(lake=lake), parameters).fetchone()
                assert row is not None  # an aggregate has a row
                return row
            except (FileNotFoundError, duckdb.IOException) as error:
                trouble = error
        raise Problem(Code.LAKE_UNAVAILABLE, "Parts of the lake cannot be read.") from trouble

    def _snapshot(self, span: Span) -> tuple[list[Part], pa.Table]:
        """Parts and rows of the span that together hold each event once.

        The spool first: a segment that is no longer listed was released before, so its parts
        are there. A segment that a part names is left out for the date of that part.
        """
        segments = self._live.refresh()
        parts = [
            part for day in self._lake.dates() if day in span for part in self._lake.parts(day)
        ]
        for part in parts:
            for id in self._lake.footer(part).segments.keys() & segments.keys():
                rows = segments[id]
                segments[id] = rows.filter(pc.not_equal(rows["date"], pa.scalar(part.date)))
        live = pa.concat_tables(segments.values()) if segments else LIVE_SCHEMA.empty_table()
        return parts, live.filter(_within(span, live["date"]))


def _within(span: Span, dates: pa.ChunkedArray) -> pa.ChunkedArray:
    first = pa.scalar(span.first or date.min, pa.date32())
    last = pa.scalar(span.last or date.max, pa.date32())
    return pc.and_(pc.greater_equal(dates, first), pc.less_equal(dates, last))


def connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    """An empty database in memory that can read the data folder and nothing else."""
    database = duckdb.connect(":memory:")
    database.execute("SET threads = $n", {"n": settings.threads})
    database.execute(f"SET memory_limit = '{settings.memory_bytes_max}B'")
    database.execute("SET allowed_directories = $folders", {"folders": [settings.data_dir]})
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return database
