"""What heavy questions and long exports cost: memory, and the patience of those who ask little.

    python -m tests.bench.bounds --events 10000000 --cache FOLDER

Eight clients count a site's views by user over all time, again and again; a ninth asks for a tiny
site's day. Then the largest site is exported in each format. Memory is the peak of the resident
set of report's process, less what its files in the page cache are mapped for (it maps none).
"""

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import httpx2

from tests.bench.lakes import BIGGEST, TINY, lake_of
from tests.bench.stats import asker
from tests.processes import Stage, running

HEAVY_S = 20
MIB = 1 << 20

_different = count()


def resident_mib(report: Stage, field: str = "VmHWM") -> float:
    status = Path(f"/proc/{report.process.pid}/status").read_text()
    return int(status.split(field + ":")[1].split()[0]) / 1024


def heavy(report: Stage, until: float) -> list[int]:
    statuses = []
    while time.monotonic() < until:
        asked = {"site_id": BIGGEST, "by": "user_id", "offset": next(_different)}
        url = report.url + "/stats/breakdown"
        statuses.append(httpx2.get(url, params=asked, timeout=120).status_code)
    return statuses


def p99(times: list[float]) -> tuple[float, float]:
    times = sorted(times)
    return times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000


def crowd(report: Stage) -> None:
    small = asker(report, TINY, "day")
    alone = p99([small() for _ in range(200)])
    until = time.monotonic() + HEAVY_S
    with ThreadPoolExecutor(8) as threads:
        heavies = [threads.submit(heavy, report, until) for _ in range(8)]
        times = []
        while time.monotonic() < until:
            times.append(small())
        statuses = [status for each in heavies for status in each.result()]
    beside = p99(times)
    print(f"a small question, alone:            p50 {alone[0]:.1f} ms, p99 {alone[1]:.1f} ms")
    print(f"beside eight heavy ones:            p50 {beside[0]:.1f} ms, p99 {beside[1]:.1f} ms")
    print(f"heavy ones answered:                {statuses.count(200)}, 503: {statuses.count(503)}")
    print(f"peak memory:                        {resident_mib(report):,.0f} MiB")


def export(report: Stage, kind: str) -> None:
    started, size = time.monotonic(), 0
    before = resident_mib(report, "VmRSS")
    url = f"{report.url}/export?site_id={BIGGEST}&format={kind}"
    with httpx2.stream("GET", url, timeout=120) as response:
        for piece in response.iter_raw():
            size += len(piece)
    seconds = time.monotonic() - started
    print(
        f"export, {kind:8}                    {size / MIB:,.0f} MiB in {seconds:.0f} s; memory "
        f"{before:,.0f} MiB before, {resident_mib(report):,.0f} MiB at its peak"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "footfall-bench"
    )
    arguments = parser.parse_args()
    data_dir = lake_of(arguments.events, arguments.cache)
    with running("report", data_dir) as report:
        crowd(report)
    for kind in ("ndjson", "csv", "parquet"):
        with running("report", data_dir) as report:
            export(report, kind)


if __name__ == "__main__":
    main()
