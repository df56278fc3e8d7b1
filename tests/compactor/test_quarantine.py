"""What repetitions cost: little, up to a limit, and each is counted whatever becomes of it."""

import base64

import orjson
import pytest

from compactor.segments.quarantine import Quarantine, lines_in
from tests.compactor.folder import Folder, line
from tests.compactor.test_commands import compactor
from tests.processes import duckdb_cli


def repeated(count, user="ann"):
    return (line(f"/pages/{n % 7}.html", id=f"{n % 100}", user=user) for n in range(count))


def test_repetitions_cost_a_few_bytes_each(tmp_path):
    folder = Folder(tmp_path)
    folder.segment(*repeated(20_000))
    folder.turn()
    bytes_kept = sum(path.stat().st_size for path in folder.path.glob("quarantine/*/*"))
    assert bytes_kept / 19_900 < 20  # 370 as they were
    glob = folder.path / "quarantine" / "**" / "*.jsonl*"
    rows = f"read_json('{glob}', format = 'newline_delimited')"
    sql = f"select reason, count(*) from {rows} group by 1"
    assert duckdb_cli(sql).endswith(",19900")


def test_above_the_limit_repetitions_are_counted_and_not_kept(tmp_path):
    folder = Folder(tmp_path, quarantine_bytes_max=4096)
    folder.segment(*repeated(300))
    folder.turn()
    folder.segment(*repeated(300), b"damaged\n")
    folder.turn()
    assert folder.set_aside().count("duplicate") == 200
    assert "damaged" in folder.set_aside(), "it is the only copy of an event"
    told = compactor(folder, "verify")
    assert "100 rows, 0 erased, 500 duplicates, 1 quarantined, 601 lines" in told
    *_, last = sorted(folder.path.glob("quarantine/*/*"))
    last.unlink()
    told = compactor(folder, "verify", status=1)
    assert "201 lines of 2026-11-22 should be in quarantine, 200 are" in told


def test_what_an_earlier_release_kept_is_still_read_and_erased(tmp_path):
    folder = Folder(tmp_path)
    segment = folder.segment(*repeated(101, user="eve"))
    folder.turn()
    (path,) = folder.path.glob("quarantine/*/*.zst")
    older = path.with_suffix("")
    record = {"segment": segment.stem, "line": 101, "reason": "duplicate: …"}
    text = list(repeated(101, user="eve"))[-1].strip()
    older.write_bytes(orjson.dumps({**record, "base64": base64.b64encode(text).decode()}) + b"\n")
    path.unlink()
    assert "0 findings" in compactor(folder, "verify")
    told = compactor(folder, "erase", "--site", "shop", "--user", "eve")
    assert "erased 100 rows, and 1 lines in quarantine" in told
    assert b"base64" not in older.read_bytes()
    assert "0 findings" in compactor(folder, "verify")


@pytest.mark.parametrize("lines", [[b""], [b"\xff\xfe"], [b'{"a":"\xc3\xa9"}', b"x" * 100_000]])
def test_bytes_are_kept_as_they_were(tmp_path, lines):
    folder = Folder(tmp_path)
    folder.segment(*(text + b"\n" for text in lines))
    folder.turn()
    quarantine = Quarantine(folder.path)
    kept = [text for path in quarantine.files() for text in lines_in(path)]
    assert kept == lines
