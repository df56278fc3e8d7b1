"""Lakes for benchmarks: ordinary traffic of 500 sites, 250,000 events a day, in parts as the
compactor writes them. Growing means more days. Kept between runs; equal seeds, equal rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
from tqdm import tqdm

from compactor.lake.columns import SCHEMA, completed
from compactor.lake.format import Counts, Footer, Part, PartNames
from compactor.lake.listing import Lake
from compactor.lake.store import open_store
from compactor.lake.writer import gather, prepare_columns, sample_of, sort_order, write_part
from ingest.segment import SegmentName

EVENTS_A_DAY = 250_000
SEGMENTS_A_DAY = 2_880  # of one writer, that closes one every 30 seconds
LAST_DAY = date(2025, 11, 12)
BIGGEST, TINY = "site-000", "site-499"

# Sites, paths and users are skewed; visitors come back for some days and are new after a month.
ROWS = f"""
    SELECT 'site-' || lpad(floor(500 * pow(r1, 3))::INT::VARCHAR, 3, '0') AS site_id,
        CASE WHEN r2 < 0.9 THEN 'page_view' ELSE 'click' END AS event_type,
        '/page/' || floor(400 * pow(r3, 2))::INT AS path,
        CASE WHEN r4 < 0.95 THEN md5(concat(floor($day / 30), '-',
            floor(pow(r5, 2) * {EVENTS_A_DAY})::INT))[:16] END AS user_id,
        to_timestamp($start + r6 * 86400) AS "timestamp",
        CASE WHEN r7 < 0.2 THEN md5(concat($day, '-', n))[:20] END AS event_id,
        CASE WHEN r8 < 0.4 THEN concat('https://ref', (50 * r9)::INT, '.example/') END AS referrer,
        CASE WHEN r7 < 0.1 THEN concat('{{"plan":"', if(r3 < 0.3, 'pro', 'free'), '"}}')
            END AS props,
        to_timestamp($start + 86400) AS received_at
    FROM (SELECT n, {", ".join(f"random() AS r{i}" for i in range(1, 10))}
          FROM range({EVENTS_A_DAY}) AS t(n))
"""


def lake_of(events: int, cache: Path) -> Path:
    """The data folder with a lake of so many events, made if it is not there."""
    data_dir = cache / f"lake-{events}-{SEGMENTS_A_DAY}"
    if not (data_dir / "complete").exists():
        _write(data_dir, list(days(events)))
        (data_dir / "complete").touch()
    return data_dir


def days(events: int) -> Iterator[date]:
    for n in range(events // EVENTS_A_DAY):
        yield LAST_DAY - timedelta(days=n)


def _write(data_dir: Path, dates: list[date]) -> None:
    lake = prepared(data_dir)
    database = duckdb.connect(config={"threads": 1})
    for day in tqdm(dates, desc=data_dir.name, unit="day"):
        if not lake.parts(day):
            seed = {"seed": day.toordinal() % 1000 / 1000}
            database.execute("SELECT setseed($seed)", seed).fetchall()
            write_day(database, ROWS, {"day": day.toordinal()}, lake, day)


def prepared(data_dir: Path) -> Lake:
    """An empty lake, or the one that is there."""
    data_dir.mkdir(parents=True, exist_ok=True)
    lake = Lake(open_store(data_dir))
    lake.store.prepare()
    return lake


def write_day(
    database: duckdb.DuckDBPyConnection,
    rows: str,
    parameters: dict[str, object],
    lake: Lake,
    day: date,
) -> None:
    """One part, as the compactor leaves it of a closed date; `rows` is SQL with $start, seconds."""
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    database.execute("SET TimeZone = 'UTC'")
    found = database.sql(rows, params=parameters | {"start": start}).to_arrow_table()
    table = prepare_columns(completed(found, SCHEMA))
    order = sort_order(table)
    footer = Footer(segments=_segments(start, table.num_rows))
    lake.store.publish(
        Part(day, PartNames(lambda: start, "bbbbbbbb")()),
        lambda file: write_part(file, gather(table, order), sample_of(table, order), footer),
    )


def _segments(start: int, rows: int) -> dict[str, Counts]:
    """What each of a date's segments had, that one writer closed one after the other."""
    apart_ms = 86_400_000 // SEGMENTS_A_DAY
    counts = {}
    for n in range(SEGMENTS_A_DAY):
        of_one = rows * (n + 1) // SEGMENTS_A_DAY - rows * n // SEGMENTS_A_DAY
        name = SegmentName(start * 1000 + n * apart_ms, "bbbbbbbb", n + 1)
        counts[name.id] = Counts(of_one, of_one)
    return counts


@contextmanager
def spool_of(data_dir: Path, events: int) -> Iterator[None]:
    """Events of the last day that no part has yet, in one closed segment; taken away afterwards."""
    database = duckdb.connect()
    lines = database.sql(
        f"""SELECT concat('{{"site_id":"site-', lpad(floor(500 * pow(random(), 3))::INT::VARCHAR, 3,
            '0'), '","event_type":"page_view","path":"/page/', floor(400 * random())::INT,
            '","user_id":"', md5(random()::VARCHAR)[:16], '","timestamp":"{LAST_DAY}T12:00:00Z",',
            '"event_id":"', md5(random()::VARCHAR)[:20], '","received_at":"{LAST_DAY}T12:00:00Z"}}')
        FROM range({events})"""
    ).fetchall()
    spool = data_dir / "spool"
    spool.mkdir(exist_ok=True)
    name = SegmentName(1_762_950_000_000, "cccccccc", 1).closed()
    path = spool / str(name)
    path.write_text("".join(f"{line}\n" for (line,) in lines))
    try:
        yield
    finally:
        path.unlink()
