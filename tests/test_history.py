"""A real server's log, imported, gives the figures that other tools computed.

tests/data/elastic_apache/PROVENANCE.md says where the log and its truth.json come from. It is
imported three times: each of its lines as a page view (demo), and what they are (facts), its
visitors known on every day in one (lasting).
"""

import gzip
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx2
import pytest
from is_crawler.detection import is_crawler

from ingest.context.agent import classify
from ingest.importers.formats import combined
from ingest.importers.logged_request import kind
from tests.processes import PROJECT, Stage, compact_once, duckdb_cli, running, stats, wait_for

DATA = Path(__file__).parent / "data" / "elastic_apache"
TRUTH = json.loads((DATA / "truth.json").read_text())
KINDS = {
    "asset": 5572,
    "page_view": 3903,
    "error": 220,
    "redirect": 164,
    "download": 106,
    "request": 35,
}
FIGURES = ("total_views", "unique_users", "top_paths")


def import_log(ingest: Stage, site: str, *arguments: str, stdin: bytes | None = None) -> str:
    command = [sys.executable, "-m", "ingest.accesslog", "--site", site, "--url", ingest.url]
    done = subprocess.run(
        [*command, *arguments],
        cwd=PROJECT,
        env=ingest.environment,
        input=stdin,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def figures(answer):
    return {name: answer[name] for name in FIGURES}


def assert_report_tells_the_truth(report):
    assert figures(stats(report, "demo")) == figures(TRUTH)
    for day, truth in TRUTH["days"].items():
        assert figures(stats(report, "demo", date=day)) == truth


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """The data folder after the log was imported twice and compacted by the running compactor."""
    data_dir = tmp_path_factory.mktemp("data")
    with (
        running("ingest", data_dir, segment_age_s_max=1.5) as ingest,
        running("compactor", data_dir, poll_interval_s=0.1),
        running("report", data_dir) as report,
    ):
        log = DATA / "apache_logs.gz"
        said = import_log(ingest, "demo", str(log), "--every-line")
        told = ["10000 lines: 10000 sent, 0 not understood, 0 rejected", "10000 page_view"]
        assert said.splitlines() == told
        assert_report_tells_the_truth(report)  # from the spool
        import_log(ingest, "demo", "-", "--every-line", stdin=gzip.decompress(log.read_bytes()))
        assert_report_tells_the_truth(report)  # nothing was added
        assert_kinds_are_told(import_log(ingest, "facts", str(log)))
        (data_dir / "visitors" / "imports.secret").unlink()
        some = b"".join(gzip.decompress(log.read_bytes()).splitlines(keepends=True)[:1000])
        import_log(ingest, "facts", "-", stdin=some)  # adds nothing with another secret either
        import_log(ingest, "lasting", str(log), "--lasting-visitors")
        wait_for(
            lambda: not list((data_dir / "spool").glob("*.jsonl")) and parts(data_dir), "compaction"
        )
        assert_report_tells_the_truth(report)  # whatever is where
        assert ingest.stop() == 0
    compact_once(data_dir)
    with running("report", data_dir) as report:
        assert_report_tells_the_truth(report)  # from the lake alone, by a new process
        yield data_dir, report


def assert_kinds_are_told(said):
    assert said.splitlines()[1] == (
        "5572 asset (354 of robots), 3903 page_view (2269 of robots), 220 error (144 of robots),"
        " 164 redirect (115 of robots), 106 download (37 of robots), 35 request (23 of robots)"
    )


def parts(data_dir):
    return list((data_dir / "lake" / "events").rglob("*.parquet"))


def ask(lake, sql):
    events = f"(FROM read_parquet('{lake[0]}/lake/events/**/*.parquet') WHERE site_id = 'demo')"
    return duckdb_cli(sql.format(events=events))


def test_the_duckdb_command_finds_the_same_for_all_time(lake):
    counted = ask(lake, "SELECT count(*), count(DISTINCT user_id) FROM {events}")
    assert counted == f"{TRUTH['total_views']},{TRUTH['unique_users']}"
    top = "SELECT path, count(*) n FROM {events} GROUP BY path ORDER BY n DESC, path LIMIT 10"
    assert ask(lake, top) == "\n".join(f"{r['path']},{r['views']}" for r in TRUTH["top_paths"])


def test_the_duckdb_command_finds_the_same_for_every_day(lake):
    by_day = (
        "SELECT date, count(*), count(DISTINCT user_id) FROM {events} GROUP BY date ORDER BY date"
    )
    assert ask(lake, by_day) == "\n".join(
        f"{day},{truth['total_views']},{truth['unique_users']}"
        for day, truth in TRUTH["days"].items()
    )


def test_the_view_has_the_right_types(lake):
    described = duckdb_cli(
        "SELECT column_name, column_type FROM (DESCRIBE events)", database=lake[0] / "lake.duckdb"
    )
    assert described.splitlines() == [
        "site_id,VARCHAR",
        "event_type,VARCHAR",
        "path,VARCHAR",
        "user_id,VARCHAR",
        "timestamp,TIMESTAMP WITH TIME ZONE",
        "event_id,VARCHAR",
        "referrer,VARCHAR",
        "props,JSON",
        "received_at,TIMESTAMP WITH TIME ZONE",
        "hostname,VARCHAR",
        *(f"utm_{name},VARCHAR" for name in ("source", "medium", "campaign", "content", "term")),
        "click_id,VARCHAR",
        "browser,VARCHAR",
        "os,VARCHAR",
        "device,VARCHAR",
        "bot,VARCHAR",
        "country,VARCHAR",
        "language,VARCHAR",
        "engaged_ms,BIGINT",
        "scroll,BIGINT",
        "date,DATE",
        *(f"visit{name},INTEGER" for name in ("", "_views", "_events", "_ms")),
        "visit_engaged_ms,BIGINT",
        "visit_exit,VARCHAR",
    ]


def test_a_log_has_pages_assets_downloads_errors_redirects_and_other_requests(lake):
    _, report = lake
    for event_type, count in {**KINDS, "": 10_000}.items():
        told = stats(report, "facts", event_type=event_type, bots="include")
        assert told["total_views"] == count


def test_the_page_views_of_a_log_are_those_of_people_unless_robots_are_asked_of(lake):
    _, report = lake
    assert stats(report, "facts")["total_views"] == 1634
    assert stats(report, "facts", bots="only")["total_views"] == 2269
    assert stats(report, "lasting", bots="include")["total_views"] == 3903
    lasting = stats(report, "lasting")
    assert (lasting["total_views"], lasting["unique_users"]) == (1634, 931)


def test_a_visitor_of_a_log_is_nobody_the_next_day_unless_asked_to_last(lake):
    _, report = lake
    whole = stats(report, "facts")["unique_users"]
    for site in ("facts", "lasting"):
        by_day = [stats(report, site, date=day)["unique_users"] for day in TRUTH["days"]]
        assert sum(by_day) == whole == 966


def test_neither_addresses_nor_agents_of_a_log_are_stored(lake):
    _, report = lake
    lines = gzip.decompress((DATA / "apache_logs.gz").read_bytes()).splitlines()
    addresses = {line.partition(b" ")[0].decode() for line in lines}
    for site in ("demo", "facts", "lasting"):
        told = httpx2.get(f"{report.url}/export", params={"site_id": site}).text
        assert len(told.splitlines()) == 10_000
        assert addresses.isdisjoint(re.findall(r"\d+\.\d+\.\d+\.\d+", told))
        assert "Mozilla/5.0" not in told


def test_who_is_a_robot_in_a_log_is_what_the_library_says_but_for_four_agents():
    """Two old phones are people's; a feed's reader and an agent that only says Mozilla are not."""
    lines = gzip.decompress((DATA / "apache_logs.gz").read_bytes()).splitlines()
    views = [view for view in map(combined.read, lines) if view and kind(view) == "page_view"]
    persons = [view for view in views if not is_crawler(view.agent.decode("latin-1"))]
    assert (len(views) - len(persons), len(persons)) == (2268, 1635)
    assert len({(view.address, view.agent) for view in persons}) == 932
    otherwise = Counter(
        view.agent.partition(b"/")[0].decode()
        for view in views
        if is_crawler(view.agent.decode("latin-1")) is (classify(view.agent).bot is None)
    )
    assert otherwise == {
        "Mozilla": 2,
        "QS304 Profile": 1,
        "SAMSUNG-GT-E2232": 1,
        "SimplePie": 1,
    }
