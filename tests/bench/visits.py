"""What visits cost: to find, to keep and to ask.   python -m tests.bench.visits

    find    µs an event of finding them, beside reading the columns that it takes: part by part as
            the compactor settles, as one table in memory as report does for dates that are open,
            with the rows out of order, and with users in more and fewer shares
    keep    bytes an event of each column in Parquet (zstd), by encoding
    ask     visits, bounce rate and duration of the biggest site, of the written columns and of raw
            rows by window functions, in DuckDB on one thread; the figures are compared

    --events N   rows, over twenty days (default 4,400,000)
    --repeat N   runs of each; the quickest counts (default 5)
    --folder F   where the rows are made, and kept for the next run

Ordinary traffic, made: 200 sites, of which the biggest has a sixth of all events; visits of 2.3
views on average, most of them followed by engagement, and clicks; 5 % of visits are robots' and 5 %
nobody's. Times are CPU seconds of one thread, memory is what a process grows by.

Not shown: the sort and the writing, which settling does anyway; cold files. Traffic in which
thousands of events of a user have one timestamp costs more: other columns decide then.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compactor.lake.visit_keys import KEYS, Rows
from compactor.lake.visit_metrics import METRICS
from compactor.lake.visits import VISIT_SCHEMA, Visits, add_visits, find_visits
from compactor.lake.writer import CODED, ROW_GROUP_ROWS

BATCH_ROWS = 16_384
BIGGEST = "site-000"
DAYS = 20
EVENTS_A_VISIT = 4.49

TRAFFIC = """
    WITH visit AS (
        SELECT n, r0, 'site-' || lpad(floor(200 * pow(r1, 3))::INT::VARCHAR, 3, '0') AS site_id,
            floor($days * r2)::INT AS day, day * 86400 + r3 * 86000 AS start,
            CASE WHEN r4 > 0.05 THEN 'd:' || md5(concat(day, site_id, floor($users * r5)))[:16] END
                AS user_id,
            CASE WHEN r6 < 0.05 THEN 'search' END AS bot,
            CASE WHEN r7 < 0.6 THEN concat('https://ref', (50 * r8)::INT, '.example/') END AS ref,
            1 + floor(-ln(1 - r9) * 1.8)::INT AS views
        FROM (SELECT n, {draws} FROM range($visits::BIGINT) AS t(n))
    ), view AS (
        SELECT *, unnest(range(views)) AS nth,
            '/page/' || floor(400 * pow(random(), 2))::INT AS path,
            start + nth * 70 + 50 * random() AS moment,
            floor(-ln(1 - random()) * 18000)::BIGINT AS ms
        FROM visit
    ), event AS (
        SELECT *, 'page_view' AS event_type, moment AS seen FROM view
        UNION ALL SELECT *, 'engagement', moment + ms / 1000 FROM view WHERE random() < 0.8
        UNION ALL SELECT *, 'click', moment + 5 FROM view WHERE random() < 0.15
    )
    SELECT site_id, event_type, path, user_id, to_timestamp(1760000000 // 86400 * 86400 + seen)
            AS "timestamp",
        CASE WHEN event_type = 'page_view' AND nth = 0 THEN ref END AS referrer, bot,
        CASE WHEN event_type = 'engagement' THEN ms END AS engaged_ms, "timestamp" AS received_at
    FROM event ORDER BY site_id, "timestamp"
"""

WINDOWS = """
    WITH row AS (
        SELECT *, "timestamp"::DATE AS day FROM {events}
        WHERE site_id = '{site}' AND bot IS NULL AND user_id IS NOT NULL
    ), gap AS (
        SELECT *, coalesce("timestamp" - lag("timestamp") OVER w > INTERVAL 30 MINUTE, true) AS new
        FROM row WINDOW w AS (PARTITION BY user_id, day ORDER BY "timestamp")
    ), numbered AS (
        SELECT *, sum(new::INT) OVER (PARTITION BY user_id, day ORDER BY "timestamp") AS nth
        FROM gap
    ), summary AS (
        SELECT count(*) FILTER (event_type = 'page_view') AS visit_views,
            count(*) FILTER (event_type NOT IN ('page_view', 'engagement')) AS visit_events,
            epoch_us(max("timestamp")) - epoch_us(min("timestamp")) AS us,
            us // 1000 AS visit_ms, coalesce(sum(engaged_ms), 0) AS visit_engaged_ms
        FROM numbered GROUP BY user_id, day, nth HAVING visit_views + visit_events > 0
    )
    SELECT {figures} FROM summary
"""
COUNTS = "SELECT count(*), count(DISTINCT user_id) FROM {events} WHERE site_id = '{site}'"
FIGURES = ", ".join(METRICS[name] for name in ("visits", "bounce_rate", "visit_duration"))
WRITTEN = "SELECT {figures} FROM {events} WHERE site_id = '{site}'"

ENCODINGS = {
    "visit": ("dictionary", "DELTA_BINARY_PACKED", "PLAIN", "BYTE_STREAM_SPLIT"),
    "visit_views": ("dictionary", "DELTA_BINARY_PACKED", "PLAIN", "BYTE_STREAM_SPLIT"),
    "visit_events": ("dictionary", "DELTA_BINARY_PACKED", "PLAIN", "BYTE_STREAM_SPLIT"),
    "visit_ms": ("dictionary", "DELTA_BINARY_PACKED", "PLAIN", "BYTE_STREAM_SPLIT"),
    "visit_engaged_ms": ("dictionary", "DELTA_BINARY_PACKED", "PLAIN", "BYTE_STREAM_SPLIT"),
    "visit_exit": ("dictionary", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY", "PLAIN"),
}
LEVELS = (1, 3, 9)


def make(path: Path, events: int) -> None:
    draws = ", ".join(f"random() AS r{n}" for n in range(10))
    visits = int(events / EVENTS_A_VISIT)
    with duckdb.connect(config={"threads": 1}) as database:
        database.execute("SELECT setseed(0.5)").fetchall()
        parameters = {"days": DAYS, "visits": visits, "users": visits / DAYS * 0.8}
        rows = database.sql(TRAFFIC.format(draws=draws), params=parameters).to_arrow_table()
    write(path, rows)


def write(path: Path, rows: pa.Table) -> None:
    """As a settled part is written, more or less."""
    times = ["timestamp", "received_at"]
    pq.write_table(
        rows,
        path,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=3,
        use_dictionary=[name for name in rows.column_names if name not in times],
        column_encoding=dict.fromkeys(times, "DELTA_BINARY_PACKED"),
        store_schema=False,
    )


def rows_of(path: Path) -> Rows:
    coded = list(set(CODED) & set(pq.read_schema(path).names))
    file = pq.ParquetFile(path, read_dictionary=coded, pre_buffer=False)

    def read(names: Sequence[str]) -> Iterator[pa.Table]:
        present = [name for name in names if name in file.schema_arrow.names]
        for batch in file.iter_batches(BATCH_ROWS, columns=present, use_threads=False):
            yield pa.Table.from_batches([batch])

    return Rows(file.metadata.num_rows, read)


def quickest(run: Callable[[], object], repeat: int) -> float:
    """CPU seconds."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def find(path: Path, repeat: int) -> None:
    rows = rows_of(path)
    table = pq.read_table(path, use_threads=False)
    half = table.num_rows // 2
    turned = pa.concat_tables([table.slice(half), table.slice(0, half)]).combine_chunks()
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows)).combine_chunks()
    site = table.filter(pc.equal(table["site_id"], BIGGEST)).combine_chunks()
    contenders: dict[str, tuple[Callable[[], object], int]] = {
        "read the columns": (lambda: sum(map(len, rows.read(KEYS))), rows.count),
        "find, as the compactor does": (lambda: find_visits(rows), rows.count),
        "find, all users at once": (lambda: find_visits(rows, rows.count), rows.count),
        "find, users in four shares": (lambda: find_visits(rows, -(-rows.count // 4)), rows.count),
        "columns of a find, in order": (gathered(find_visits(rows)), rows.count),
        "table": (lambda: add_visits(table), table.num_rows),
        "table, halves exchanged": (lambda: add_visits(turned), table.num_rows),
        "table, no order": (lambda: add_visits(shuffled), table.num_rows),
        "table of one site": (lambda: add_visits(site), site.num_rows),
    }
    print(f"\n{'find':34}{'rows':>12}{'µs/event':>10}")
    for name, (run, count) in contenders.items():
        print(f"{name:34}{count:12,}{quickest(run, repeat) / count * 1e6:10.3f}")


def gathered(visits: Visits) -> Callable[[], object]:
    positions = np.arange(len(visits.visit))
    cuts = range(ROW_GROUP_ROWS, len(positions), ROW_GROUP_ROWS)
    return lambda: [visits.columns(some) for some in np.split(positions, cuts)]


def grown(path: Path, buckets: int) -> None:
    """In a process of its own."""
    import compactor.allocator  # noqa: F401  as `python -m compactor` does

    rows = rows_of(path)
    for _ in rows.read(KEYS):
        pass
    before = peak_kib()
    find_visits(rows, -(-rows.count // buckets))
    print((peak_kib() - before) * 1024 / rows.count)


def peak_kib() -> int:
    """Of this process alone; getrusage() has the parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def memory(path: Path) -> None:
    for buckets in (1, 2, 4, 16):
        command = [sys.executable, "-m", "tests.bench.visits", "--grown", str(path), str(buckets)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"memory with {buckets:2} shares of users  {float(done.stdout):25.0f} bytes/event")


def keep(path: Path) -> None:
    found = pq.read_table(path, columns=VISIT_SCHEMA.names)
    print(f"\n{'keep, bytes/event at zstd level':34}" + "".join(f"{n:>9}" for n in LEVELS))
    least = 0.0
    for name, encodings in ENCODINGS.items():
        sizes = {each: [size(found, name, each, level) for level in LEVELS] for each in encodings}
        for each, by_level in sizes.items():
            print(f"{name:18}{each:16.16}" + "".join(f"{size:9.3f}" for size in by_level))
        least += min(by_level[LEVELS.index(3)] for by_level in sizes.values())
    print(f"{'together, the smallest at level 3':34}{least:18.3f}")


def size(found: pa.Table, name: str, encoding: str, level: int) -> float:
    sink = pa.BufferOutputStream()
    is_coded = encoding == "dictionary"
    pq.write_table(
        found.select([name]),
        sink,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=level,
        use_dictionary=is_coded,
        column_encoding=None if is_coded else {name: encoding},
        store_schema=False,
        write_statistics=False,
    )
    metadata = pq.ParquetFile(pa.BufferReader(sink.getvalue())).metadata
    groups = range(metadata.num_row_groups)
    return sum(metadata.row_group(n).column(0).total_compressed_size for n in groups) / len(found)


def ask(path: Path, repeat: int) -> None:
    said = {"events": f"read_parquet('{path}')", "site": BIGGEST, "figures": FIGURES}
    with duckdb.connect(config={"threads": 1}) as database:
        database.execute("SET TimeZone = 'UTC'")

        def answer(query: str) -> tuple[float, ...]:
            result: tuple[float, ...] = database.sql(query.format(**said)).fetchall()[0]
            return result

        count, _ = answer(COUNTS)
        print(f"\n{f'ask, {count:,} events of a site':34}{'ms':>10}")
        for name, query in {
            "events and visitors": COUNTS,
            "written columns": WRITTEN,
            "window functions": WINDOWS,
        }.items():
            took = quickest(lambda query=query: answer(query), repeat)  # type: ignore[misc]
            print(f"{name:34}{took * 1e3:10.1f}   {answer(query)}")
        assert np.allclose(answer(WRITTEN), answer(WINDOWS)), "the two do not agree"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=4_400_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--grown", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.grown:
        grown(Path(arguments.grown[0]), int(arguments.grown[1]))
        return
    pa.set_cpu_count(1)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        raw, written = folder / f"raw-{arguments.events}", folder / f"visits-{arguments.events}"
        if not raw.exists():
            make(raw, arguments.events)
        find(raw, arguments.repeat)
        memory(raw)
        write(written, add_visits(pq.read_table(raw)))
        keep(written)
        ask(written, arguments.repeat)


if __name__ == "__main__":
    main()
