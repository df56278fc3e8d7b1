"""How ingest starts: with what it needs, or not at all and with one line that says why."""

import resource
import subprocess
import sys

import pytest

from tests.processes import PROJECT, clean_environment, running


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"INGEST_PROT": "1"}, "unknown field `INGEST_PROT`"),
        ({"INGEST_PORT": "x"}, "Expected `int`"),
        ({"INGEST_TRUSTED_PROXIES": "10.0.0.1/8"}, "10.0.0.1/8 has host bits set"),
        ({"INGEST_CONNECTIONS_MAX": "100000000"}, "`ulimit -Hn` allows"),
        ({"DATA_DIR": "/nowhere/data"}, "'/nowhere' is not there"),
    ],
)
def test_a_bad_setting_stops_the_start_with_one_line(tmp_path, settings, reason):
    done = subprocess.run(
        [sys.executable, "-m", "ingest"],
        cwd=PROJECT,
        env=clean_environment() | {"DATA_DIR": str(tmp_path)} | settings,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 1
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_ingest_takes_the_open_files_that_its_connections_need(tmp_path):
    with running("ingest", tmp_path, connections_max=2_000) as ingest:
        soft, _ = resource.prlimit(ingest.process.pid, resource.RLIMIT_NOFILE)
        assert soft >= 2_064
        assert ingest.stop() == 0
