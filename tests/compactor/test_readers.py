"""Who shares the lake's lock reads whole years; an exchange waits for readers, up to a bound."""

import shutil
import subprocess
import threading

import pytest

from tests.compactor.folder import Folder, line
from tests.compactor.test_commands import compactor
from tests.processes import DUCKDB, wait_for

CLOSED = "2026-11-20"


@pytest.fixture
def folder(tmp_path):
    """A closed date in two parts, and one that is open."""
    folder = Folder(tmp_path, now=f"{CLOSED}T09:00:00", readers_s_max=0.3)
    for n in range(2):
        folder.segment(
            *(line(f"/{n}.{m}", user="eve", at=f"{CLOSED}T07:00:00Z") for m in range(100))
        )
        folder.turn()
    folder.now = "2026-11-22T08:00:00"
    return folder


def parts_of(folder, day):
    return len(folder.files(day))


def test_a_pass_does_not_wait_for_readers(folder):
    folder.segment(line("/new"))
    with folder.shared():
        turn = threading.Thread(target=folder.turn, daemon=True)
        turn.start()
        turn.join(10)
        assert not turn.is_alive(), "it waits for a reader, and ingest's spool grows"
        assert ("/new",) in folder.rows()


def test_an_exchange_that_meets_a_reader_for_long_is_put_off_and_that_is_said(folder, caplog):
    passes = folder.passes()
    with folder.shared(), caplog.at_level("INFO"):
        passes.turn(everything=True)
        passes.turn(everything=True)
        assert parts_of(folder, CLOSED) == 2
    (told,) = [message for message in caplog.messages if "reader" in message]
    assert "0.3 s" in told
    assert not list(folder.store.staging.iterdir()), "nothing was written for nothing"
    passes.turn(everything=True)
    assert parts_of(folder, CLOSED) == 1


def test_erase_that_meets_a_reader_for_long_says_so_and_changes_nothing(folder):
    with folder.shared():
        told = compactor(folder, "erase", "--site", "shop", status=1, COMPACTOR_READERS_S_MAX="0.2")
        assert "reader" in told and "Traceback" not in told
        assert len(folder.rows()) == 200
    compactor(folder, "erase", "--site", "shop")
    assert folder.rows() == []


@pytest.mark.skipif(not shutil.which("strace"), reason="strace holds the reader in the moment")
@pytest.mark.skipif(not shutil.which("flock"), reason="util-linux")
def test_a_command_under_the_shared_lock_counts_the_year_that_is_exchanged(folder):
    """It has read the names of the year's folder, and looks at the files a second later."""
    folder.settings = type(folder.settings)(data_dir=str(folder.path), readers_s_max=30)
    year = folder.store.events / "year=2026"
    hold = ["strace", "-f", "-y", "-P", str(year), "-e", "trace=getdents64,openat"]
    hold += ["-e", "inject=getdents64:delay_exit=700000:when=3", "-o", str(folder.path / "trace")]
    glob = f"{folder.store.events}/**/*.parquet"
    query = [DUCKDB, "-csv", "-noheader", "-c", f"select count(*) from '{glob}'"]
    command = subprocess.Popen(
        ["flock", "--shared", str(folder.store.folder / "lock"), *hold, *query],
        stdout=subprocess.PIPE,
        text=True,
    )
    trace = folder.path / "trace"
    wait_for(
        lambda: trace.exists() and trace.read_text().count("openat") == 2, "the year's listing"
    )
    folder.turn()
    told, _ = command.communicate(timeout=20)
    assert (told.strip(), command.returncode) == ("200", 0)
    assert parts_of(folder, CLOSED) == 1
