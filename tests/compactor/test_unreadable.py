"""A part that cannot be read keeps back its own dates, is named once, and stops nothing else."""

import duckdb
import pytest

from tests.compactor.folder import Folder, line
from tests.compactor.test_commands import compactor
from tests.processes import running, wait_for

BAD = "2026-11-20"


def torn(path):
    path.write_bytes(path.read_bytes()[:-30])


def rewritten_by_others(path):
    with duckdb.connect() as database:
        database.execute(f"COPY (FROM '{path}') TO '{path}.new' (FORMAT parquet)")
    path.with_name(path.name + ".new").replace(path)


def damaged_within(path):
    """Its footer is whole, its pages are not."""
    content = bytearray(path.read_bytes())
    content[4:300] = bytes(296)
    path.write_bytes(content)


DAMAGE = [
    pytest.param(torn, id="torn"),
    pytest.param(lambda path: path.write_bytes(b""), id="empty"),
    pytest.param(rewritten_by_others, id="without our footer"),
    pytest.param(damaged_within, id="its pages are damaged"),
]


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    folder.segment(*(line(f"/{n}", at=f"{BAD}T07:00:00Z", id=f"{n}") for n in range(50)))
    folder.turn()
    return folder


def the_part(folder):
    (path,) = folder.files(BAD)
    return path


def paths_of(folder, day):
    files = [str(path) for path in folder.files(day)]
    if not files:
        return []
    with duckdb.connect() as database:
        rows = database.sql(f"SELECT path FROM read_parquet({files}) ORDER BY path").fetchall()
    return [path for (path,) in rows]


@pytest.mark.parametrize("damage", DAMAGE)
def test_only_segments_with_rows_of_its_dates_wait(folder, damage, caplog):
    path = the_part(folder)
    sound = path.read_bytes()
    damage(path)
    late = folder.segment(line("/late", at=f"{BAD}T08:00:00Z", id="late"), line("/a"))
    other = folder.segment(line("/b"))
    passes = folder.passes()
    passes.turn(everything=False)
    assert paths_of(folder, "2026-11-22") == ["/a", "/b"]
    assert late.exists() and not other.exists()
    folder.segment(line("/c"))
    with caplog.at_level("INFO", "compactor"):
        passes.turn(everything=True)
    assert paths_of(folder, "2026-11-22") == ["/a", "/b", "/c"]
    assert not [m for m in caplog.messages if "compacted 2 segments" in m], "not read again"
    assert len([m for m in caplog.messages if path.name in m]) == 1

    path.write_bytes(sound)  # from a backup, say
    passes.turn(everything=True)
    assert sorted(folder.rows("path", "path IN ('/late', '/a', '/b', '/c')")) == [
        ("/a",),
        ("/b",),
        ("/c",),
        ("/late",),
    ]
    assert not list(folder.spool.iterdir())


def test_the_log_names_the_file(folder, caplog):
    torn(the_part(folder))
    folder.segment(line("/late", at=f"{BAD}T08:00:00Z"))
    folder.turn()
    (told,) = [message for message in caplog.messages if the_part(folder).name in message]
    assert "1 segments" in told and BAD in told


def test_once_does_the_rest_and_says_what_it_could_not(folder):
    rewritten_by_others(the_part(folder))
    folder.segment(line("/late", at=f"{BAD}T08:00:00Z"))
    folder.segment(line("/b"))
    assert the_part(folder).name in compactor(folder, "--once", status=1)
    assert paths_of(folder, "2026-11-22") == ["/b"]


def test_a_compactor_goes_on_beside_a_part_without_our_footer(folder):
    rewritten_by_others(the_part(folder))
    folder.segment(line("/late", at=f"{BAD}T08:00:00Z"))
    with running("compactor", folder.path, poll_interval_s=0.05, pass_age_s_max=0.1) as stage:
        wait_for(lambda: the_part(folder).name in stage.log.read_text(), "its name in the log")
        folder.segment(line("/new"))
        wait_for(lambda: paths_of(folder, "2026-11-22") == ["/new"], "the other date")
        assert stage.process.poll() is None


def test_the_damaged_part_of_a_closed_date_does_not_settle_nor_move_out(tmp_path, caplog):
    folder = Folder(tmp_path, now=f"{BAD}T08:00:00", retention_days=30)
    for n in range(2):
        folder.segment(line(f"/{n}", at=f"{BAD}T07:00:00Z"))
        folder.turn()
    bad = sorted(folder.store.events.rglob("*.parquet"))[0]
    torn(bad)
    folder.now = "2026-11-22T08:00:00"
    folder.segment(line("/today"))
    passes = folder.passes()
    passes.turn(everything=True)
    folder.now = "2026-12-21T08:00:00"
    folder.segment(line("/then", at="2026-12-21T08:00:00Z"))
    passes.turn(everything=True)
    passes.turn(everything=True)
    assert len(folder.files(BAD)) == 2
    assert len([message for message in caplog.messages if bad.name in message]) == 1


def test_erase_names_what_it_cannot_read_and_erases_the_rest(folder):
    folder.segment(line("/eve", user="eve"))
    folder.turn()
    torn(the_part(folder))
    told = compactor(folder, "erase", "--site", "shop", "--user", "eve", status=1)
    assert the_part(folder).name in told
    assert paths_of(folder, "2026-11-22") == []
