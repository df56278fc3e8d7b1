"""Footers stay short: segments that are gone for certain become runs, and are still known."""

import pytest

from compactor.lake.format import Counts, Footer
from compactor.lake.runs import fold
from ingest.segment import SegmentName
from tests.compactor.folder import Folder, line
from tests.compactor.test_commands import compactor


def name(seq, writer="aaaaaaaa", state="jsonl"):
    return SegmentName(1795305600000 + seq, writer, seq, state)


def footer(*names):
    return {each.id: Counts(2, 1, 1, 0) for each in names}


A, B = "aaaaaaaa", "bbbbbbbb"


def short(key):
    """The numbers of a run."""
    return "..".join(str(int(id[23:])) for id in key.split(".."))


@pytest.mark.parametrize(
    ("segments", "present", "elsewhere", "keys"),
    [
        pytest.param([1, 2, 3], [], [], ["1..3"], id="all of a writer that is gone become one"),
        pytest.param([1, 2, 9], [], [], ["1..9"], id="a segment without rows of the date is none"),
        pytest.param([1, 2, 3, 4], [3], [], ["1..2", "3", "4"], id="what waits stays by its name"),
        pytest.param([1, 2, 3], [1], [], ["1", "2", "3"], id="and what was opened after it"),
        pytest.param([1, 3, 5], [], [4], ["1..3", "5"], id="another part's segment is not covered"),
        pytest.param([1], [], [], ["1"], id="one stays as it is"),
    ],
)
def test_fold(segments, present, elsewhere, keys):
    folded = fold(footer(*map(name, segments)), map(name, present), footer(*map(name, elsewhere)))
    assert sorted(map(short, folded)) == sorted(keys)
    assert sum(counts.rows for counts in folded.values()) == len(segments)
    assert Footer(segments=folded).named({name(n).id for n in range(1, 12)}) == {
        name(n).id
        for n in range(1, 12)
        if any(int(k.partition("..")[0]) <= n <= int(k.split("..")[-1]) for k in keys)
    }


def test_each_writer_has_runs_of_its_own():
    folded = fold(footer(name(1, A), name(2, B), name(3, A), name(4, B)), [name(9, A)], [])
    assert list(map(short, folded)) == ["1..3", "2..4"]
    again = fold({**folded, **footer(name(5, A))}, [], [])
    assert list(map(short, again)) == ["1..5", "2..4"]
    assert Footer(segments=again).last_segment == name(5, A).id


def test_a_closed_date_names_its_segments_in_a_few_bytes_and_takes_none_of_them_twice(tmp_path):
    folder = Folder(tmp_path, now="2026-11-22T09:00:00")
    segments = [
        folder.segment(line(f"/{n}", id=str(n % 90)), line(f"/{n}/b", id=f"{n}b"))
        for n in range(99)
    ]
    content = segments[40].read_bytes()
    folder.turn()
    folder.segment(line("/late"))
    folder.turn()
    folder.now = "2026-11-23T09:00:00"
    folder.turn()
    (part,) = folder.lake.parts(folder.lake.dates()[0])
    footer = folder.lake.footer(part)
    assert list(footer.segments) == ["1795338000000-aaaaaaaa-000001..1795338000000-aaaaaaaa-000100"]
    assert footer.segments.popitem()[1] == Counts(199, 190, 9, 0)
    assert "0 findings" in compactor(folder, "verify")
    segments[40].write_bytes(content)  # as a power cut, or a backup of the spool, brings it back
    folder.turn()
    assert len(folder.rows()) == 190
    assert not list(folder.spool.iterdir())
