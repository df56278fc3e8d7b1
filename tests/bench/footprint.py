"""What report holds in memory, and what a question costs, when the lake has many of everything.

    python -m tests.bench.footprint --dates 365 --sites 10000 --cache FOLDER

Every site has one event on every date. Report runs as a process and is asked over HTTP.

    memory              of the process (VmRSS), after each kind of question
    questions           what the first, the next and a later one of the same kind take
    beside /ready       a question while sixteen clients ask for /ready without a pause

Not shown: a cold page cache, dates of many parts, sites of many rows.
"""

import argparse
import os
import platform
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2

from tests.bench.lakes import LAST_DAY, fill
from tests.processes import Stage, running

ROWS = """
    SELECT 'site-' || lpad(n::VARCHAR, 6, '0') AS site_id, 'page_view' AS event_type,
        '/page/' || n % 100 AS path, md5(n::VARCHAR)[:16] AS user_id,
        to_timestamp($start + n % 86400) AS "timestamp", NULL::VARCHAR AS event_id,
        NULL::VARCHAR AS referrer, NULL::VARCHAR AS props,
        to_timestamp($start + n % 86400) AS received_at
    FROM range($sites) AS t(n)
"""
CLIENTS = 16


def lake_of(dates: int, sites: int, cache: Path) -> Path:
    data_dir = cache / f"footprint-{dates}-{sites}"
    days = [LAST_DAY - timedelta(days=n) for n in range(dates)]
    fill(data_dir, days, ROWS, sites, sites=sites)
    return data_dir


class Asking:
    """A client that prints what it sees."""

    def __init__(self, report: Stage) -> None:
        self._report = report
        self._http = httpx2.Client(timeout=600, base_url=report.url)

    def get(self, path: str, **parameters: Any) -> float:
        """Milliseconds."""
        started = time.perf_counter()
        response = self._http.get(path, params=parameters)
        assert response.status_code == 200, response.text
        return (time.perf_counter() - started) * 1000

    def memory(self, when: str) -> None:
        status = Path(f"/proc/{self._report.process.pid}/status").read_text()
        resident = int(status.partition("VmRSS:")[2].split()[0]) / 1024
        print(f"memory, {when:44}{resident:9.0f} MiB", flush=True)

    def took(self, what: str, *ms: float) -> None:
        print(f"{what:52}" + "".join(f"{each:9.1f}" for each in ms) + " ms", flush=True)


def measure(asking: Asking, sites: int) -> None:
    month = {"from": str(LAST_DAY - timedelta(days=29)), "to": str(LAST_DAY)}
    asking.memory("at the start")
    first = asking.get("/stats", site_id="site-000000")
    asking.took(
        "all time of a site: first, next",
        first,
        asking.get("/stats", site_id="site-000000", limit=9),
    )
    asking.memory("after one question over all time")
    with beside_ready(asking):
        times = sorted(
            asking.get("/stats", site_id="site-000000", limit=10 + n) for n in range(100)
        )
    asking.took("the same beside /ready: median", times[50])
    times = [asking.get("/stats", site_id=f"nobody-{n}") for n in range(300)]
    asking.took("all time of who has none: first, last of 300", times[0], sum(times[-10:]) / 10)
    asking.memory("after 300 of these")
    times = [
        asking.get("/stats", site_id=f"site-{n:06d}", **month) for n in range(min(1_800, sites))
    ]
    asking.took(
        "30 days of a site: first, last of 1,800", sum(times[1:11]) / 10, sum(times[-10:]) / 10
    )
    asking.memory("after 1,800 of these")
    asking.took("an export of who has none", asking.get("/export", site_id="nobody"))
    asking.took(
        "an export of who has one event a date", asking.get("/export", site_id="site-000001")
    )
    asking.took(
        "an export of one date of these",
        asking.get("/export", site_id="site-000001", date=str(LAST_DAY)),
    )
    asking.took("/ledger: first, next", asking.get("/ledger"), asking.get("/ledger"))
    asking.took(
        "/sites: first, next",
        asking.get("/sites"),
        asking.get("/sites", limit=10),
        asking.get("/sites", limit=11),
    )
    asking.memory("after /ledger and /sites")
    series = [
        asking.get("/stats/timeseries", site_id=f"site-00000{n}", interval="month")
        for n in range(1, 6)
    ]
    asking.took("all time by month: first, a later one", series[0], series[-1])
    asking.memory("at the end")


@contextmanager
def beside_ready(asking: Asking) -> Iterator[None]:
    left = threading.Event()

    def client(_: int) -> None:
        with httpx2.Client(timeout=600) as http:
            while not left.is_set():
                http.get(asking._report.url + "/ready")

    with ThreadPoolExecutor(CLIENTS) as threads:
        threads.map(client, range(CLIENTS))
        try:
            yield
        finally:
            left.set()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dates", type=int, default=365)
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "footfall-bench"
    )
    arguments = parser.parse_args()
    data_dir = lake_of(arguments.dates, arguments.sites, arguments.cache)
    print(f"{os.cpu_count()} cores, {platform.platform()}, load {os.getloadavg()[0]:.1f}")
    print(f"{arguments.dates} dates, {arguments.sites:,} sites")
    with running("report", data_dir, query_s_max=600) as report:
        measure(Asking(report), arguments.sites)


if __name__ == "__main__":
    main()
