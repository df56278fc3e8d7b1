"""Segments to sorted zstd Parquet: Footfall beside ClickHouse.   python -m tests.bench.compact

    --events N       of each kind of traffic (default 5,000,000)
    --repeat N       runs of each contender, interleaved; the quickest counts (default 3)
    --clickhouse PY  a Python that has chdb, if this one has not (pip install chdb)

Each contender is a process of its own, on one thread, with its libraries loaded before the clock
starts, and takes the same segments in the same passes of 128 MiB. Footfall does more in its time:
it checks every line, looks for duplicates, writes a part for each date and syncs it. ClickHouse
(chdb) reads JSONEachRow and writes one Parquet file a pass, ORDER BY site_id, timestamp.

"settled" is what comes later, once for each time that a row's date settles or grows: its parts are
read again, and become sorted ones that have their visits. There is no counterpart.

CPU is user + system of the whole process; memory is its peak. Not shown: the disk, which both
leave alone most of the time. Run it on an idle machine, and quote the machine.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PASS_SEGMENTS = 2
COLUMNS = (
    "site_id String, event_type String, path Nullable(String), user_id Nullable(String), "
    "timestamp DateTime64(6, 'UTC'), event_id Nullable(String), referrer Nullable(String), "
    "props Nullable(String), received_at DateTime64(6, 'UTC')"
)
SETTINGS = (
    "max_threads=1, max_insert_threads=1, max_parsing_threads=1, input_format_parallel_parsing=0, "
    "output_format_parallel_formatting=0, output_format_parquet_parallel_encoding=0, "
    "output_format_parquet_compression_method='zstd', output_format_compression_level=3, "
    "output_format_parquet_row_group_size=122880, date_time_input_format='best_effort', "
    "input_format_json_read_objects_as_strings=1, engine_file_truncate_on_insert=1"
)


def footfall(segments: list[Path], folder: Path) -> dict[str, float]:
    """What it took, and the bytes of the lake."""
    import compactor.allocator  # noqa: F401  as `python -m compactor` does, before pyarrow
    from compactor.scheduler import Scheduler
    from compactor.settings import Settings

    spool = folder / "spool"
    spool.mkdir()
    for segment in segments:
        os.link(segment, spool / segment.name)
    passes = Scheduler(Settings(data_dir=str(folder)), threading.Event())
    with clock() as compacting:
        passes.compact_all()
    size = bytes_in(folder)
    with clock() as settling:
        passes.upkeep.look(everything=True)
    assert not list(folder.rglob("*.recent.parquet"))
    settled = {"settled_cpu_s": settling.cpu_s, "settled_bytes": bytes_in(folder)}
    return compacting.took() | {"bytes": size} | settled


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))


def clickhouse(segments: list[Path], folder: Path) -> dict[str, float]:
    import chdb

    chdb.query("SELECT 1")
    with clock() as compacting:
        for n in range(0, len(segments), PASS_SEGMENTS):
            names = ",".join(segment.name for segment in segments[n : n + PASS_SEGMENTS])
            source = f"{segments[0].parent}/{{{names}}}"
            columns = COLUMNS.replace("'", "\\'")
            chdb.query(
                f"INSERT INTO FUNCTION file('{folder}/{n}.parquet', 'Parquet') "
                f"SELECT * FROM file('{source}', 'JSONEachRow', '{columns}') "
                f"ORDER BY site_id, timestamp SETTINGS {SETTINGS}"
            )
    return compacting.took() | {"bytes": bytes_in(folder)}


CONTENDERS = {"footfall": footfall, "clickhouse": clickhouse}


class clock:
    """Measures what is inside it."""

    def __enter__(self) -> "clock":
        self.cpu_s, self.wall_s = _cpu_s(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_s, self.wall_s = _cpu_s() - self.cpu_s, time.perf_counter() - self.wall_s

    def took(self) -> dict[str, float]:
        return {"cpu_s": self.cpu_s, "wall_s": self.wall_s}


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def contend(name: str, segments: list[Path]) -> None:
    """In a process of its own: prints what it measured as JSON."""
    with tempfile.TemporaryDirectory(dir=segments[0].parent.parent) as folder:
        told = CONTENDERS[name](segments, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(told | {"peak": peak}))


def measure(name: str, python: str, folder: Path) -> dict[str, float]:
    done = subprocess.run(
        [python, "-m", "tests.bench.compact", "--contender", name, "--segments", str(folder)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def has_chdb(python: str) -> bool:
    return not subprocess.run([python, "-c", "import chdb"], capture_output=True).returncode


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--clickhouse", default=sys.executable)
    parser.add_argument("--folder", type=Path, help="where to put the segments")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--segments", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        contend(arguments.contender, sorted(arguments.segments.glob("*.jsonl")))
        return
    # the Python of another contender need not have what this imports
    from tests.bench.traffic import REAL_LOG, generated, real

    root = Path(tempfile.mkdtemp(dir=arguments.folder))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    traffics = {
        "generated": lambda: generated(arguments.events),
        "generated, with event_id": lambda: generated(arguments.events, event_ids=True),
    }
    if REAL_LOG.exists():
        traffics["real log, repeated"] = lambda: real(arguments.events)
    pythons = {"footfall": sys.executable}
    if has_chdb(arguments.clickhouse):
        pythons["clickhouse"] = arguments.clickhouse
    print(f"{'traffic':38}{'events/s':>12}{'CPU µs/event':>14}{'bytes/event':>13}{'peak MiB':>10}")
    for name, traffic in traffics.items():
        compare(name, root / name.replace(" ", "-").replace(",", ""), traffic, pythons, arguments)
    shutil.rmtree(root)


def compare(name, folder, traffic, pythons, arguments) -> None:
    from tests.bench.traffic import write_segments

    write_segments(folder, traffic())
    runs: dict[str, list[dict[str, float]]] = {contender: [] for contender in pythons}
    for _ in range(arguments.repeat):
        for contender, python in pythons.items():
            runs[contender].append(measure(contender, python, folder))
    shutil.rmtree(folder)
    best = {contender: min(each, key=lambda run: run["cpu_s"]) for contender, each in runs.items()}
    for contender, run in best.items():
        print(
            f"{name:26}{contender:12}{arguments.events / run['wall_s']:12,.0f}"
            f"{run['cpu_s'] / arguments.events * 1e6:14.2f}{run['bytes'] / arguments.events:13.1f}"
            f"{run['peak'] / 2**20:10,.0f}"
        )
    run = best["footfall"]
    print(
        f"{'':26}{'settled':12}{'':12}{run['settled_cpu_s'] / arguments.events * 1e6:14.2f}"
        f"{run['settled_bytes'] / arguments.events:13.1f}"
    )
    if len(best) == 2:
        print(f"{'':26}ratio of CPU {best['footfall']['cpu_s'] / best['clickhouse']['cpu_s']:.2f}")


if __name__ == "__main__":
    main()
