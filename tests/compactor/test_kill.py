"""SIGKILL between any two steps of the compactor: a real process, over real files."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime

import duckdb
import pytest

from compactor.scheduler import Scheduler
from compactor.segments.quarantine import Quarantine, records_in
from compactor.settings import Settings
from ingest.receipt import Receipt, to_line
from ingest.segment import SegmentName
from tests.processes import PROJECT

RECEIPT = Receipt(datetime(2026, 11, 22, 8, tzinfo=UTC))
MIDNIGHT_MS = 1795305600000  # 2026-11-22T00:00:00Z


def write_segment(spool, name, events, tail=b""):
    spool.mkdir(exist_ok=True)
    lines = [to_line(json.dumps(event).encode(), RECEIPT) for event in events]
    (spool / str(name)).write_bytes(b"".join(lines) + tail)


def views(site, count, day):
    return [
        {"site_id": site, "event_type": "page_view", "user_id": f"{site}{n}", "timestamp": day}
        for n in range(count)
    ]


@pytest.fixture
def killed():
    """Ends a compactor at its n-th change of a disk, and tells how it ended."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.compactor.killed"],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def kill(n, data_dir):
            process.stdin.write(f"{n} {data_dir}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield kill
        process.stdin.close()


def test_a_kill_at_any_step_leaves_every_event_in_the_lake_once(tmp_path, killed):
    pristine = tmp_path / "pristine"
    pristine.mkdir()
    days = ("2026-11-21T10:00:00Z", "2026-11-22T10:00:00Z")
    closed = SegmentName(MIDNIGHT_MS, "00000001", 1, "jsonl")
    orphan = SegmentName(MIDNIGHT_MS, "00000002", 1, "open")
    write_segment(pristine / "spool", closed, views("a", 3, days[0]) + views("b", 2, days[1]))
    repeated = {"site_id": "c", "event_type": "page_view", "user_id": "c", "event_id": "once"}
    write_segment(pristine / "spool", orphan, [repeated, repeated], tail=b'{"site_id":"torn')
    kills = 0
    while True:
        data_dir = tmp_path / f"killed-{kills}"
        shutil.copytree(pristine, data_dir)
        status = killed(kills, data_dir)
        Scheduler(Settings(data_dir=str(data_dir)), threading.Event()).run_once()
        assert sorted(users_in_lake(data_dir)) == ["a0", "a1", "a2", "b0", "b1", "c"], kills
        assert list((data_dir / "spool").iterdir()) == []
        assert list((data_dir / "lake" / "staging").iterdir()) == []
        quarantined = [records_in(path) for path in Quarantine(data_dir).files()]
        assert sorted(json.loads(record)["reason"].split(":")[0] for (record,) in quarantined) == [
            "duplicate",
            "torn",
        ]
        shutil.rmtree(data_dir)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        kills += 1
    assert kills > 30  # a step that goes round the seam would go untested


def users_in_lake(data_dir):
    rows = duckdb.sql(f"SELECT user_id FROM '{data_dir}/lake/events/**/*.parquet'").fetchall()
    return [user for (user,) in rows]
