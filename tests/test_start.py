"""Starting and stopping: bad input costs one clear line, and a stop costs no event."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.processes import (
    PROJECT,
    clean_environment,
    compact_once,
    duckdb_cli,
    free_port,
    running,
    wait_for,
)

STAGES = ("ingest", "compactor", "report")
GOOD = b'{"site_id":"a","event_type":"page_view"}'


def start_and_fail(stage, environment):
    """The one line that a stage says before it ends."""
    done = subprocess.run(
        [sys.executable, "-m", stage],
        cwd=PROJECT,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode not in (0, -signal.SIGTERM)
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize("stage", STAGES)
def test_a_missing_data_folder_stops_the_start(stage, tmp_path):
    line = start_and_fail(stage, {"DATA_DIR": str(tmp_path / "typo")})
    assert "DATA_DIR" in line
    assert "typo" in line


@pytest.mark.parametrize("stage", ["ingest", "compactor"])
def test_a_data_folder_that_takes_no_files_stops_the_start(stage):
    assert "/proc" in start_and_fail(stage, {"DATA_DIR": "/proc"})  # read-only for root, too


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_another_system_than_linux_stops_the_start(system):
    """As far as that can be seen from here: without what only Linux has."""
    program = (
        f"import os, runpy, sys; sys.platform = {system!r}; del os.fdatasync, os.posix_fallocate;"
        "runpy.run_module('ingest', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "Linux" in done.stderr


@pytest.mark.parametrize("stage", STAGES)
def test_an_unknown_setting_stops_the_start(stage, tmp_path):
    for name in (f"{stage.upper()}_TYPO", "FOOTFALL_SITE"):  # which would leave every site open
        assert name in start_and_fail(stage, {"DATA_DIR": str(tmp_path), name: "1"})


@pytest.mark.parametrize(
    ("stage", "name", "value"),
    [
        ("ingest", "INGEST_PORT", "http"),
        ("ingest", "INGEST_WORKERS", "0"),
        ("ingest", "INGEST_ACK", "maybe"),
        ("compactor", "COMPACTOR_PASS_AGE_S_MAX", "-1"),
        ("report", "REPORT_THREADS", "many"),
    ],
)
def test_a_bad_value_stops_the_start(stage, name, value, tmp_path):
    assert name in start_and_fail(stage, {"DATA_DIR": str(tmp_path), name: value})


@pytest.mark.parametrize("stage", ["ingest", "report"])
def test_a_port_in_use_stops_the_start(stage, tmp_path):
    with running(stage, tmp_path) as first:
        port = str(first.port)
        line = start_and_fail(stage, {"DATA_DIR": str(tmp_path), f"{stage.upper()}_PORT": port})
        assert port in line
        assert "in use" in line


def test_report_is_closed_to_the_network_without_a_token(tmp_path):
    line = start_and_fail("report", {"DATA_DIR": str(tmp_path), "REPORT_HOST": "0.0.0.0"})
    assert "REPORT_TOKEN" in line


def test_report_asks_for_the_token_and_never_says_it(tmp_path):
    with running("report", tmp_path, token="s3cret") as report:
        url = report.url + "/stats?site_id=a"
        refused = [
            httpx2.get(url),
            httpx2.get(url, headers={"authorization": "Bearer wrong"}),
            httpx2.get(report.url + "/nowhere"),
        ]
        assert [answer.status_code for answer in refused] == [401, 401, 401]
        assert refused[0].json()["code"] == "unauthorized"
        assert refused[0].headers["www-authenticate"] == "Bearer"
        assert httpx2.get(url, headers={"authorization": "Bearer s3cret"}).status_code == 200
        assert "s3cret" not in report.log.read_text() + "".join(a.text for a in refused)


@pytest.mark.parametrize("stage", STAGES)
def test_help_lists_every_setting(stage):
    done = subprocess.run(
        [sys.executable, "-m", stage, "--help"], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0
    settings = __import__(f"{stage}.settings").settings.Settings
    for name in settings.__struct_encode_fields__:
        assert re.search(rf"^{name} ", done.stdout, re.M)


def test_killing_the_supervisor_ends_its_workers(tmp_path):
    with running("ingest", tmp_path, workers=2) as ingest:
        os.kill(ingest.process.pid, signal.SIGKILL)
        ingest.process.wait()
        wait_for(lambda: not refuses_to_bind(ingest.port), "the workers to let go of the port")


def refuses_to_bind(port):
    done = subprocess.run(
        [sys.executable, "-c", f"import socket; socket.create_server(('127.0.0.1', {port}))"],
        capture_output=True,
    )
    return done.returncode != 0


@pytest.mark.parametrize("workers", [1, 2])
def test_honcho_starts_everything_and_ctrl_c_ends_it_with_nothing_lost(tmp_path, workers):
    ports = {"INGEST_PORT": str(free_port()), "REPORT_PORT": str(free_port())}
    bin_dir = Path(sys.executable).parent
    path = f"{bin_dir}:{os.environ['PATH']}"
    settings = {"DATA_DIR": str(tmp_path), "INGEST_WORKERS": str(workers), "PATH": path, **ports}
    log = tmp_path / "honcho.log"
    with log.open("wb") as output:
        honcho = subprocess.Popen(
            [bin_dir / "honcho", "start"],
            cwd=PROJECT,
            env=clean_environment() | settings,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        for port in ports.values():
            wait_for(lambda port=port: is_up(port), "everything to be up")
        for _ in range(20):
            url = f"http://127.0.0.1:{ports['INGEST_PORT']}/event"
            assert httpx2.post(url, content=GOOD).status_code == 202
        honcho.send_signal(signal.SIGINT)
        honcho.wait(timeout=5)
    finally:
        if honcho.poll() is None:
            os.killpg(honcho.pid, signal.SIGKILL)
    text = log.read_text()
    assert "Traceback" not in text
    assert "SIGKILL" not in text
    for stage in STAGES:
        assert f"{stage}.1 stopped (rc=0)" in text, text
    assert {path.suffix for path in (tmp_path / "spool").iterdir()} == {".jsonl"}
    compact_once(tmp_path)
    assert duckdb_cli(f"SELECT count(*) FROM '{tmp_path}/lake/events/**/*.parquet'") == "20"


def is_up(port):
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health").status_code == 200
    except httpx2.TransportError:
        return False
