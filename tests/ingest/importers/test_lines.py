import gzip
import io
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.importers.lines import (
    LINE_BYTES_MAX,
    READ_ERRORS,
    EventIds,
    Line,
    read_lines,
    size_bytes,
    split_lines,
)

LINES = st.lists(st.sampled_from([b"a", b"b", b"a\x1f1", b"1", b""]) | st.binary())


def read(path: Path, on_bytes: Callable[[int], object] = lambda _: None) -> list[Line]:
    return list(read_lines(str(path), on_bytes))


def ids_of(path: Path) -> list[str]:
    return ids_in_order([line.raw for line in read(path)])


def ids_in_order(lines: list[bytes]) -> list[str]:
    event_ids = EventIds()
    return [event_ids.next(line) for line in lines]


def test_an_id_is_the_hash_of_a_line_and_its_occurrence() -> None:
    assert ids_in_order([b"a", b"b", b"a"]) == [
        sha256(b"a\x1f1").hexdigest()[:20],
        sha256(b"b\x1f1").hexdigest()[:20],
        sha256(b"a\x1f2").hexdigest()[:20],
    ]


@settings(deadline=None)
@given(LINES)
def test_every_line_of_a_file_has_an_id_of_its_own(lines: list[bytes]) -> None:
    assert len(set(ids_in_order(lines))) == len(lines)


@settings(deadline=None)
@given(LINES, st.data())
def test_the_ids_of_a_file_do_not_depend_on_the_order_of_its_lines(
    lines: list[bytes], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(lines))
    assert set(ids_in_order(shuffled)) == set(ids_in_order(lines))


def test_a_log_that_has_grown_keeps_the_ids_it_had(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"a\nb\na\n")
    before = ids_of(log)
    log.write_bytes(b"a\nb\na\nb\n")
    assert ids_of(log)[:3] == before


def test_name_compression_and_line_endings_do_not_change_an_id(tmp_path: Path) -> None:
    plain, packed, windows = (tmp_path / name for name in ("a.log", "b.log.gz", "c.log"))
    plain.write_bytes(b"one\ntwo\ntwo\n")
    packed.write_bytes(gzip.compress(b"one\ntwo\ntwo\n"))
    windows.write_bytes(b"one\r\ntwo\r\ntwo")
    assert ids_of(plain) == ids_of(packed) == ids_of(windows)


def test_occurrences_are_counted_for_each_file_alone(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"a\n")
    assert ids_of(log) == ids_of(log)


def test_a_line_knows_its_place(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"one\n\nthree")
    assert [(line.place, line.raw) for line in read(log)] == [
        (f"{log}:1", b"one"),
        (f"{log}:2", b""),
        (f"{log}:3", b"three"),
    ]


def test_gzip_is_recognised_without_its_suffix(tmp_path: Path) -> None:
    log = tmp_path / "access.log.1"
    log.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert [line.raw for line in read(log)] == [b"one", b"two"]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    for name in ("access.log", "access.log.gz"):
        (tmp_path / name).touch()
        assert read(tmp_path / name) == []


def test_a_gzip_cut_short_gives_its_whole_lines_and_then_raises(tmp_path: Path) -> None:
    text = b"".join(sha256(b"%d" % n).hexdigest().encode() + b"\n" for n in range(2000))
    log = tmp_path / "access.log.gz"
    log.write_bytes(gzip.compress(text)[:-5000])
    lines = []
    with pytest.raises(READ_ERRORS, match="end-of-stream"):
        for line in read_lines(str(log), on_bytes=lambda _: None):
            lines.append(line.raw)
    assert len(lines) > 1500
    assert lines == text.split(b"\n")[: len(lines)]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"plain text", id="a .gz that is not gzip"),
        pytest.param(gzip.compress(b"x" * 99)[:10] + b"\xff" * 9, id="damaged inside"),
        pytest.param(gzip.compress(b"x")[:-8] + bytes(8), id="a wrong checksum"),
    ],
)
def test_a_damaged_gzip_raises_a_read_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "access.log.gz").write_bytes(content)
    with pytest.raises(READ_ERRORS):
        read(tmp_path / "access.log.gz")


def test_a_line_over_the_limit_is_cut_and_costs_only_its_rest() -> None:
    file = io.BytesIO(b"a" * (3 * LINE_BYTES_MAX) + b"\nnext\n")
    assert list(split_lines(file)) == [b"a" * LINE_BYTES_MAX, b"next\n"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_progress_adds_up_to_the_size_of_the_file(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(pack(b"some line\n" * 50_000))
    counts: list[int] = []
    read(log, counts.append)
    assert sum(counts) == size_bytes([str(log)]) == log.stat().st_size


def test_the_size_is_unknown_if_one_input_is_not_a_plain_file(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(b"12345")
    log = str(tmp_path / "access.log")
    assert size_bytes([log, log]) == 10
    assert size_bytes([log, "/dev/null"]) is None
    assert size_bytes([log, str(tmp_path / "missing.log")]) is None
