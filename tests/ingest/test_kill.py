"""SIGKILL between any two steps of the spool writer: what it acknowledged is there, once."""

import signal
import subprocess
import sys
import threading

import duckdb

from compactor.scheduler import Scheduler
from compactor.settings import Settings
from tests.ingest.killed import EVENTS
from tests.processes import PROJECT


def test_a_kill_at_any_step_keeps_what_was_acknowledged(tmp_path):
    kills = 0
    while True:
        data_dir = tmp_path / str(kills)
        data_dir.mkdir()
        died = subprocess.run(
            [sys.executable, "-m", "tests.ingest.killed", str(data_dir), str(kills)],
            cwd=PROJECT,
            capture_output=True,
            text=True,
        )
        acknowledged = [int(number) for number in died.stdout.split()]
        assert acknowledged == list(range(len(acknowledged)))
        kept = compacted_users(data_dir)
        assert len(kept) == len(set(kept))
        assert set(acknowledged) <= set(kept)
        if died.returncode == 0:
            break
        assert died.returncode == -signal.SIGKILL, died.stderr
        assert len(kept) <= len(acknowledged) + 1  # the one that was never answered
        kills += 1
    assert sorted(kept) == list(range(EVENTS))
    assert kills > 30  # a step that goes round the seam would go untested


def compacted_users(data_dir):
    Scheduler(Settings(data_dir=str(data_dir)), threading.Event()).run_once()
    if not list((data_dir / "lake").rglob("*.parquet")):
        return []
    rows = duckdb.sql(f"SELECT user_id FROM '{data_dir}/lake/events/**/*.parquet'").fetchall()
    return [int(user) for (user,) in rows]
