"""A real server's log, imported, gives the figures that other tools computed.

tests/data/elastic_apache/PROVENANCE.md says where the log and its truth.json come from.
"""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import PROJECT, Stage, compact_once, duckdb_cli, running, stats, wait_for

DATA = Path(__file__).parent / "data" / "elastic_apache"
TRUTH = json.loads((DATA / "truth.json").read_text())
FIGURES = ("total_views", "unique_users", "top_paths")


def import_log(ingest: Stage, *arguments: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ingest.accesslog", "--site=demo", "--url", ingest.url, *arguments],
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
        said = import_log(ingest, str(log))
        assert said == "10000 lines: 10000 sent, 0 not understood, 0 rejected\n"
        assert_report_tells_the_truth(report)  # from the spool
        import_log(ingest, "-", stdin=gzip.decompress(log.read_bytes()))
        assert_report_tells_the_truth(report)  # nothing was added
        wait_for(
            lambda: not list((data_dir / "spool").glob("*.jsonl")) and parts(data_dir), "compaction"
        )
        assert_report_tells_the_truth(report)  # whatever is where
        assert ingest.stop() == 0
    compact_once(data_dir)
    with running("report", data_dir) as report:
        assert_report_tells_the_truth(report)  # from the lake alone, by a new process
    return data_dir


def parts(data_dir):
    return list((data_dir / "lake" / "events").rglob("*.parquet"))


def ask(lake, sql):
    return duckdb_cli(sql.format(events=f"read_parquet('{lake}/lake/events/**/*.parquet')"))


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
        "SELECT column_name, column_type FROM (DESCRIBE events)", database=lake / "lake.duckdb"
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
    ]
