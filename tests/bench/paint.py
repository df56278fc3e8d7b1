"""How soon the dashboard of a site with ten million events is to be seen.

    python -m tests.bench.paint [events]

    first paint   the page's frame (First Contentful Paint, W3C Paint Timing)
    figures       visitors and views of the chosen range stand in it
    all           chart, tables and the change against the period before, too
    bare          first paint of /health in the same browser: what no page can be quicker than

Milliseconds from the start of the navigation, over the loopback, each run in a browser profile
with an empty cache; the events are spread over 120 days, two days' worth of them not compacted.
The first run of a range is the first question that report is asked about it. Not shown: a real
network, and a machine whose page cache does not hold the lake.
"""

import statistics
import sys
import tempfile
from pathlib import Path

import duckdb

from ingest.segment import CLOSED, SegmentName
from tests.browser import open_browser
from tests.processes import compact_once, running

SEGMENT_EVENTS = 500_000
RUNS = 7
RANGES = ["today", "7d", "30d", "12m", "all"]

EVENTS = """
    SELECT 'example.com' AS site_id,
           if(random() < 0.03, 'signup', 'page_view') AS event_type,
           '/page/' || (power(random(), 3) * 500)::INT AS path,
           lpad(format('{:x}', (random() * 400_000)::BIGINT), 16, '0') AS user_id,
           strftime(now()::TIMESTAMP - to_microseconds((power(random(), $skew) * $us)::BIGINT),
                    '%Y-%m-%dT%H:%M:%S.%fZ') AS timestamp,
           'https://source' || (power(random(), 3) * 60)::INT || '.example/' AS referrer,
           strftime(now()::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%fZ') AS received_at
    FROM range($count)
"""
DAY_US = 24 * 3600 * 1_000_000

FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
FIGURES = """() => new Promise((resolve, reject) => {
    const at = {};
    const look = () => {
        if (!at.figures && views.textContent != '–') at.figures = performance.now();
        if (!trouble.hidden) return reject(new Error(trouble.textContent));
        if (report.getAttribute('aria-busy') == 'false') at.all = performance.now();
        if (!at.all) return requestAnimationFrame(look);
        at.first = performance.getEntriesByName('first-contentful-paint')[0].startTime;
        resolve(at);
    };
    look();
})"""


def fill(data_dir: Path, events: int) -> None:
    (data_dir / "spool").mkdir()
    for seq in range(events // SEGMENT_EVENTS):
        write_segment(data_dir, seq, SEGMENT_EVENTS, 120 * DAY_US)
    compact_once(data_dir)
    write_segment(data_dir, 999_999, events // 60, 2 * DAY_US)


def write_segment(data_dir: Path, seq: int, count: int, us: int) -> None:
    path = data_dir / "spool" / str(SegmentName(1_700_000_000_000, "0badcafe", seq, CLOSED))
    database = duckdb.connect()
    parameters = {"count": count, "us": us, "skew": 1.0}
    database.execute(f"COPY ({EVENTS}) TO '{path}' (FORMAT json)", parameters)


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), events)
        with running("report", Path(folder)) as report, open_browser() as browser:
            print(
                f"{events:,} events    first paint    figures           all   (median; first run)"
            )
            show_bare([measure_bare(browser, report.url + "/health") for _ in range(RUNS)])
            for name in RANGES:
                show(name, [measure(browser, f"{report.url}/?range={name}") for _ in range(RUNS)])


def measure(browser, url):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(url, wait_until="commit")
        page.wait_for_selector("#views", state="attached")
        return page.evaluate(FIGURES)


def measure_bare(browser, url):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        return page.wait_for_function(FIRST_PAINT).json_value()


def show_bare(runs):
    print(f"bare     {statistics.median(runs):6.0f} ({runs[0]:5.0f})", flush=True)


def show(name, runs):
    cells = []
    for what in ("first", "figures", "all"):
        median = statistics.median(run[what] for run in runs)
        cells.append(f"{median:6.0f} ({runs[0][what]:5.0f})")
    print(f"{name:8} " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
