"""What is compacted and merged when: a table of cases, for no disk and no clock has a say in it."""

from datetime import date

import pytest

from compactor.lake.format import Part
from compactor.plan import (
    LATE_MS_MAX,
    LATE_PARTS_MAX,
    MERGE_PARTS_MAX,
    PART_ROWS_LARGE,
    PART_ROWS_MAX,
    PASS_SEGMENTS_MAX,
    ClosedSegment,
    DatePart,
    Thresholds,
    is_worth_a_pass,
    plan,
    plan_merges,
)
from ingest.segment import CLOSED, SegmentName

NOW_MS = 1_795_305_600_000
LIMITS = Thresholds(pass_bytes_max=100, age_s_max=900.0)


def segment(n, size=40, age_s=0.0):
    return ClosedSegment(
        SegmentName(NOW_MS + n, "aaaaaaaa", n, CLOSED), size, NOW_MS - int(age_s * 1000)
    )


@pytest.mark.parametrize(
    ("waiting", "rows_held", "worth"),
    [
        pytest.param([], 0, False, id="nothing waits"),
        pytest.param([segment(1, 1)], 0, True, id="the first events of a date go at once"),
        pytest.param([segment(1)], 1_000, False, id="a little beside much waits for more"),
        pytest.param([segment(1, 50), segment(2, 50)], 1_000, True, id="a full pass waits no more"),
        pytest.param([segment(1, 62)], 1, False, id="less than a quarter of what is held"),
        pytest.param([segment(1, 63)], 1, True, id="a quarter of what is held"),
        pytest.param([segment(1, 1, age_s=900)], 1_000, True, id="nothing waits longer than that"),
        pytest.param(
            [segment(1, 1, age_s=0), segment(2, 1, age_s=901)],
            1_000,
            True,
            id="the oldest counts, whichever place it has",
        ),
    ],
)
def test_a_pass_is_worth_it(waiting, rows_held, worth):
    assert is_worth_a_pass(waiting, rows_held, NOW_MS, LIMITS) is worth


@pytest.mark.parametrize(
    ("waiting", "passes"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([segment(2), segment(1)], [[1, 2]], id="oldest first, as listed or not"),
        pytest.param(
            [segment(n) for n in (1, 2, 3)], [[1, 2], [3]], id="a pass stays within its bytes"
        ),
        pytest.param(
            [segment(1), segment(2, 1_000), segment(3)],
            [[1], [2], [3]],
            id="a segment that is too large has a pass of its own",
        ),
        pytest.param([segment(1, 100), segment(2, 0)], [[1, 2]], id="an empty one costs nothing"),
        pytest.param(
            [segment(n, 0) for n in range(PASS_SEGMENTS_MAX + 1)],
            [[*range(PASS_SEGMENTS_MAX)], [PASS_SEGMENTS_MAX]],
            id="no pass opens more files than that",
        ),
    ],
)
def test_passes(waiting, passes):
    assert [[name.seq for name in names] for names in plan(waiting, LIMITS)] == passes


def part(n, rows, age_ms=0):
    name = f"{NOW_MS - age_ms:013d}-aaaaaaaa-{n:06d}.parquet"
    return DatePart(Part(date(2026, 11, 20), name), rows)


OLD = LATE_MS_MAX


@pytest.mark.parametrize(
    ("held", "groups"),
    [
        pytest.param([], [], id="no part"),
        pytest.param([part(1, 9, OLD)], [], id="one part"),
        pytest.param([part(1, 50), part(2, 50)], [[1, 2]], id="two of a size"),
        pytest.param([part(1, 100), part(2, 24)], [], id="a trickle waits"),
        pytest.param([part(1, 100), part(2, 25)], [[1, 2]], id="until it is a quarter"),
        pytest.param([part(1, 100), part(2, 1, OLD)], [[2, 1]], id="or a day old, oldest first"),
        pytest.param([part(1, 100, OLD), part(2, 1)], [], id="the largest part's age is no reason"),
        pytest.param(
            [part(0, 1_000), *(part(n, 1) for n in range(1, LATE_PARTS_MAX + 1))],
            [[*range(LATE_PARTS_MAX + 1)]],
            id="or many",
        ),
        pytest.param(
            [part(1, PART_ROWS_LARGE, OLD), part(2, 5), part(3, 5)],
            [[2, 3]],
            id="a large part is left as it is",
        ),
        pytest.param(
            [part(n, PART_ROWS_LARGE - 1) for n in (1, 2, 3)],
            [],
            id="parts that fit into none together stay",
        ),
        pytest.param(
            [part(n, PART_ROWS_MAX // 2) for n in (1, 2, 3, 4)],
            [[1, 2], [3, 4]],
            id="a merged part stays within its rows",
        ),
        pytest.param(
            [part(n, 1) for n in range(MERGE_PARTS_MAX + 2)],
            [[*range(MERGE_PARTS_MAX)], [MERGE_PARTS_MAX, MERGE_PARTS_MAX + 1]],
            id="no merge opens more files than that",
        ),
    ],
)
def test_merges(held, groups):
    found = plan_merges(held, NOW_MS)
    assert [[int(each.name[23:29]) for each in group] for group in found] == groups
