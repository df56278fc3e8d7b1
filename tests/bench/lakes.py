"""Lakes for benchmarks: ordinary traffic of 500 sites, 250,000 events a day, compacted and settled
by the compactor. Growing means more days. Kept between runs; equal seeds, equal rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
from tqdm import tqdm

from ingest.segment import CLOSED, SegmentName
from tests.processes import compact_once

EVENTS_A_DAY = 250_000
SPOOL_ROWS_MAX = 10_000_000  # are compacted at a time
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


# As ingest writes them: what is absent is left out, as is a fraction of nothing. Else they would be
# read line by line, at six times the cost.
_AT = """regexp_replace(
    strftime({name}::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%fZ'), '[.]000000Z$', 'Z')"""
_TEXT = """'"{name}":"' || {value} || '"'"""
_TEXTS = ("site_id", "event_type", "path", "user_id", "timestamp", "event_id", "referrer")
_MEMBERS = [
    _TEXT.format(name=each, value=_AT.format(name=each) if each == "timestamp" else f'"{each}"')
    for each in _TEXTS
]
_MEMBERS += [
    """'"props":' || props""",
    _TEXT.format(name="received_at", value=_AT.format(name="received_at")),
]
LINES = f"""
    COPY (SELECT '{{{{' || concat_ws(',', {", ".join(_MEMBERS)}) || '}}}}' FROM ({{rows}}))
    TO '{{path}}' (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\t')
"""


def lake_of(events: int, cache: Path) -> Path:
    """The data folder with a lake of so many events, made if it is not there."""
    data_dir = cache / f"lake-{events}"
    fill(data_dir, list(days(events)), ROWS, EVENTS_A_DAY)
    return data_dir


def days(events: int) -> Iterator[date]:
    for n in range(events // EVENTS_A_DAY):
        yield LAST_DAY - timedelta(days=n)


def fill(
    data_dir: Path, dates: Sequence[date], rows: str, rows_a_day: int, **parameters: object
) -> None:
    """A lake of these dates, if it is not there: `rows` is SQL with $start, seconds, and $day."""
    if (data_dir / "complete").exists():
        return
    spool = data_dir / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    database = duckdb.connect(config={"threads": 1})
    database.execute("SET TimeZone = 'UTC'")
    waiting = 0
    for n, day in enumerate(tqdm(sorted(dates), desc=data_dir.name, unit="day"), 1):
        start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        seed = {"seed": day.toordinal() % 1000 / 1000}
        database.execute("SELECT setseed($seed)", seed).fetchall()
        name = SegmentName(start * 1000 + 86_400_000, "bbbbbbbb", n, CLOSED)
        bound = {"start": start, "day": day.toordinal()}
        wanted = {each: value for each, value in bound.items() if f"${each}" in rows}
        database.execute(LINES.format(rows=rows, path=spool / str(name)), wanted | parameters)
        waiting += rows_a_day
        if waiting >= SPOOL_ROWS_MAX or n == len(dates):
            compact_once(data_dir)
            waiting = 0
    (data_dir / "complete").touch()


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
