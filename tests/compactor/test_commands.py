"""verify, expire and erase, as an operator calls them."""

import os
import subprocess
import sys

import httpx2
import pyarrow.parquet as pq
import pytest

from compactor.jobs.subject import Person
from tests.compactor.folder import Folder, line
from tests.processes import DUCKDB, PROJECT, clean_environment, duckdb_cli, running, wait_for


def compactor(folder, *arguments, status=0, cwd=PROJECT, **settings):
    environment = clean_environment() | {"DATA_DIR": str(folder.path)} | settings
    done = subprocess.run(
        [sys.executable, "-m", "compactor", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    folder.segment(
        line("/1", id="x", user="ann"),
        line("/2", id="x", user="eve"),
        line("/3", user="eve"),
        line("/4", user="eve", site="blog"),
        b'{"site_id":"shop","user_id":"eve"\n',
        line("/5", at="2026-11-20T00:00:00Z"),
    )
    folder.turn()
    return folder


def test_verify_finds_nothing_in_a_sound_lake(folder):
    summary = compactor(folder, "verify")
    assert "4 rows, 0 erased, 1 duplicates, 1 quarantined, 6 lines" in summary
    assert "0 findings" in summary


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[content.index(b"PAR1") + 60] ^= 1
    path.write_bytes(content)


def write_anew(change):
    def damage(path):
        with pq.ParquetFile(path) as file:
            rows, metadata = file.read(), file.metadata.metadata
        with pq.ParquetWriter(path, rows.schema) as writer:
            writer.write_table(change(rows))
            writer.add_key_value_metadata(metadata)

    return damage


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        pytest.param(flip_a_bit, "CRC", id="a flipped bit"),
        pytest.param(lambda path: path.write_bytes(b""), "Parquet", id="an empty file"),
        pytest.param(
            write_anew(lambda rows: rows.slice(1)), "its footer says 3", id="a missing row"
        ),
        pytest.param(write_anew(lambda rows: rows.take([2, 1, 0])), "not sorted", id="order"),
        pytest.param(
            lambda path: path.rename(
                path.with_name(path.name.replace("2026-11-22_2026-11-22", "2026-11-20_2026-11-21"))
            ),
            "other dates",
            id="a part of other dates",
        ),
        pytest.param(
            lambda path: (path.parent / path.name.replace("-0000", "-1000")).write_bytes(
                path.read_bytes()
            ),
            "has the rows of segment",
            id="a part that is there twice",
        ),
        pytest.param(
            lambda path: (path.parent / "notes").touch(), "not a part", id="a foreign file"
        ),
    ],
)
def test_verify_finds(folder, damage, finding):
    (path,) = folder.files("2026-11-22")
    damage(path)
    assert finding in compactor(folder, "verify", status=1)


def test_verify_finds_what_is_missing_in_quarantine(folder):
    for path in folder.path.glob("quarantine/*/*"):
        path.unlink()
    assert "should be in quarantine, 0 are" in compactor(folder, "verify", status=1)


def test_expire_moves_whole_dates_out_and_says_so_before(folder):
    days = {"COMPACTOR_RETENTION_DAYS": "1"}
    before = folder.parts()
    assert "would move 2026-11-20" in compactor(folder, "expire", "--dry-run", **days)
    assert folder.parts() == before
    compactor(folder, "expire", "--force", **days)
    assert not any("2026-11-20" in part for part in folder.parts())
    assert list((folder.path / "expired" / "year=2026").glob("2026-11-20_2026-11-20-*.parquet"))
    assert "0 findings" in compactor(folder, "verify")
    assert "not set" in compactor(folder, "expire", status=1)


def test_erase_leaves_nothing_of_a_user_and_every_count_provable(folder):
    folder.segment(line("/6", user="eve"), line("/7"))
    one = ("erase", "--site", "shop", "--user", "eve")
    told = compactor(folder, *one, "--dry-run")
    assert "would erase 1 rows, 1 in the spool, and 2 lines in quarantine" in told
    assert len(folder.rows()) == 4
    assert "erased 2 rows, and 2 lines in quarantine" in compactor(folder, *one)
    assert folder.rows("path, user_id", "user_id = 'eve'") == [("/4", "eve")]
    assert {path for (path,) in folder.rows()} == {"/1", "/4", "/5", "/7"}
    assert "eve" not in folder.set_aside()
    assert "4 rows, 2 erased, 1 duplicates, 1 quarantined, 8 lines" in compactor(folder, "verify")
    assert "erased 0 rows, and 0 lines" in compactor(folder, *one)
    kept = b"".join(path.read_bytes() for path in folder.path.rglob("*") if path.is_file())
    assert b"/3" not in kept


def test_erase_of_a_site_takes_all_of_its_users(folder):
    compactor(folder, "erase", "--site", "shop")
    assert {path for (path,) in folder.rows()} == {"/4"}
    assert "0 findings" in compactor(folder, "verify")


def test_erase_reaches_what_ingest_has_not_closed_yet(tmp_path):

    with running("ingest", tmp_path, segment_age_s_max=1) as ingest:
        event = {"site_id": "shop", "event_type": "view", "user_id": "u-4711"}
        assert httpx2.post(ingest.url + "/event", json=event).status_code == 202
        folder = type("F", (), {"path": tmp_path})
        assert "erased 1 rows" in compactor(folder, "erase", "--site", "shop", "--user", "u-4711")
        assert b"u-4711" not in b"".join(
            path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
        )


def test_erase_does_nothing_if_ingest_holds_on_to_a_segment(tmp_path):

    with running("ingest", tmp_path) as ingest:
        event = {"site_id": "shop", "event_type": "view", "user_id": "u-4711"}
        httpx2.post(ingest.url + "/event", json=event)
        folder = type("F", (), {"path": tmp_path})
        told = compactor(folder, "erase", "--site", "shop", "--wait-s", "0.1", status=1)
        assert "nothing was erased" in told


def test_a_subject_is_matched_by_its_fields_and_in_damage_by_its_name():
    eve = Person("shop", "eve")
    assert eve.mentioned_in(line(user="eve"))
    assert not eve.mentioned_in(line(user="evelyn"))
    assert not eve.mentioned_in(line(user="ann", path="eve"))
    assert eve.mentioned_in(b'{"site_id":"shop","user_id":"eve"')
    assert not eve.mentioned_in(b'{"site_id":"blog","user_id":"eve"')


@pytest.mark.parametrize("text", ["[shop", None], ids=["wrong", "not there"])
def test_sites_that_cannot_be_read_stop_a_start_with_one_line(tmp_path, text):
    sites = tmp_path / "sites.toml"
    if text:
        sites.write_text(text)
    folder = type("F", (), {"path": tmp_path})
    told = compactor(folder, "--once", status=1, FOOTFALL_SITES=str(sites))
    assert told.startswith(f"compactor: FOOTFALL_SITES {sites}: ") and len(told.splitlines()) == 1


def test_a_compactor_ends_in_time_when_it_is_told_to(tmp_path):
    with running("compactor", tmp_path) as stage:
        assert stage.stop() == 0


@pytest.mark.parametrize("version", ["DUCKDB", "DUCKDB_1_4"])
def test_the_view_opens_from_anywhere_with_the_right_types(folder, version, monkeypatch):
    command = DUCKDB if version == "DUCKDB" else os.environ.get(version)
    if not command:
        pytest.skip(f"{version} does not name an older duckdb command")
    compactor(folder, "--once")
    monkeypatch.chdir("/")
    view = """
        SELECT count(*), typeof(any_value(date)), typeof(any_value("timestamp")),
               typeof(any_value(props)), max(date)::text FROM events
    """
    assert duckdb_cli(view, database=folder.path / "lake.duckdb", command=command) == (
        "4,DATE,TIMESTAMP WITH TIME ZONE,JSON,2026-11-22"
    )


def test_a_running_compactor_compacts_by_itself(folder):
    folder.segment(line("/new"))
    with running("compactor", folder.path, poll_interval_s=0.05, pass_age_s_max=0.1):
        wait_for(lambda: ("/new",) in folder.rows(), "the new event")
