"""DATA_DIR as a machine may offer it: missing, another's, read-only, full, open to everyone."""

import os
import shutil
import stat
import subprocess
import sys
from contextlib import contextmanager

import httpx2
import pytest

from tests.processes import PROJECT, clean_environment, compact_once, running, wait_for

STAGES = ("ingest", "compactor", "report")
EVENT = {"site_id": "a", "event_type": "page_view"}
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")


def start_and_fail(stage, data_dir, **how):
    """The one line that a stage says before it ends."""
    done = subprocess.run(
        [sys.executable, "-m", stage],
        cwd=PROJECT,
        env=clean_environment() | {"DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        timeout=20,
        **how,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"{stage}: DATA_DIR {str(data_dir)!r} cannot be used: " in done.stderr
    return done.stderr.partition("cannot be used: ")[2].strip()


@contextmanager
def mounted(folder, options):
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder])
    if done.returncode != 0:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_folder_that_is_not_there_is_made_for_its_owner_and_group(tmp_path):
    said = compact_once(tmp_path / "data")
    assert said.startswith(f"compactor: made DATA_DIR '{tmp_path}/data', which was not there\n")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o750


@pytest.mark.parametrize("stage", STAGES)
def test_a_folder_that_cannot_be_made_costs_one_line_of_each_stage(stage, tmp_path):
    assert start_and_fail(stage, tmp_path / "typo" / "data") == f"'{tmp_path}/typo' is not there"


def test_a_file_in_its_place_costs_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    assert start_and_fail("ingest", tmp_path / "file") == "is not a folder"


@needs_root
def test_a_folder_of_another_user_costs_one_line(tmp_path):
    shutil.chown(tmp_path, NOBODY)
    said = start_and_fail("compactor", tmp_path)
    assert said == "it belongs to nobody: run this as that user"


@needs_root
def test_a_mount_that_is_read_only_or_full_costs_one_line(tmp_path):
    with mounted(tmp_path, "ro"):
        assert start_and_fail("report", tmp_path) == "Read-only file system"
    with mounted(tmp_path, "size=64k"):
        (tmp_path / "other").write_bytes(bytes(60 * 1024))
        assert start_and_fail("ingest", tmp_path) == "No space left on device"


@needs_root
def test_a_disk_that_fills_up_is_told_once_and_refused_until_there_is_room(tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    small = {"segment_bytes_max": 4096}
    with mounted(spool, "size=1m"), running("ingest", tmp_path, **small) as ingest:
        other = spool / "other"
        with other.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(4096))
        wait_for(lambda: send(ingest).status_code == 503, "a refusal")
        assert send(ingest).json()["code"] == "spool_unavailable"
        other.unlink()
        wait_for(lambda: send(ingest).status_code == 202, "an acknowledgement")
        log = ingest.log.read_text()
        assert log.count("the spool takes no writes") == 1
        assert log.count("the spool takes writes again") == 1
        assert "Traceback" not in log


def send(ingest):
    return httpx2.post(ingest.url + "/event?visitor=daily", json=EVENT)


def test_whatever_the_umask_others_get_nothing(tmp_path):
    umask = os.umask(0)
    try:
        with running("ingest", tmp_path, workers=2) as ingest:
            assert send(ingest).status_code == 202
            assert send(ingest).status_code == 202
            everything = sorted(tmp_path.rglob("*"))
            assert ingest.stop() == 0
        compact_once(tmp_path)
    finally:
        os.umask(umask)
    made = [path for path in {*everything, *tmp_path.rglob("*")} if path.exists()]
    opened = [path for path in made if path.stat().st_mode & 0o007 and path.suffix != ".log"]
    assert len(made) > 8 and not opened
    salt = next((tmp_path / "visitors").iterdir())
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
