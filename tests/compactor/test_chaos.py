"""A short run of tests.chaos.lake: real processes under load, killed, and read by real duckdb."""

import shutil

import pytest

from tests.chaos.lake import Run, go


@pytest.mark.skipif(not shutil.which("strace"), reason="strace kills in the middle of a call")
def test_no_kill_loses_or_doubles_an_event_and_no_reader_sees_half_a_lake(tmp_path):
    run = Run(tmp_path, kills=6, events=5_000, queries=200, seed=1)
    run.patience_s = 120
    go(run)
    assert run.problems == []
    assert (run.totals["lost"], run.totals["twice"]) == (0, 0)
