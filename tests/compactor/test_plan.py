"""What is compacted when, and into how many parts: tables of cases; no disk has a say in it."""

from datetime import UTC, date, datetime

import pytest

from compactor.plan import (
    PASS_SEGMENTS_MAX,
    ClosedSegment,
    Thresholds,
    first_open,
    is_worth_a_pass,
    plan,
    shares,
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


@pytest.mark.parametrize(
    ("dates", "held_back", "parts"),
    [
        pytest.param([], [], [], id="nothing"),
        pytest.param([1, 5, 9], [], [[1, 5, 9]], id="closed dates, however many, are one part"),
        pytest.param([10, 11, 12], [], [[10], [11], [12]], id="an open date has one of its own"),
        pytest.param([1, 9, 10, 11], [], [[1, 9], [10], [11]], id="closed and open ones"),
        pytest.param([1, 5, 9], [5], [[1], [9]], id="none has a held-back date between its own"),
        pytest.param([1, 5, 11], [1, 11], [[5]], id="of dates that are held back there is none"),
    ],
)
def test_shares_of_a_pass(dates, held_back, parts):
    days, held_back = ([date(2026, 11, n) for n in each] for each in (dates, held_back))
    found = shares(days, set(held_back), first_open=date(2026, 11, 10))
    assert [[day.day for day in each] for each in found] == parts


def test_a_date_is_closed_so_many_hours_after_its_end():
    before = datetime(2026, 11, 22, 2, 59, 59, tzinfo=UTC)
    assert first_open(before, 3) == date(2026, 11, 21)
    assert first_open(before.replace(hour=3, minute=0, second=0), 3) == date(2026, 11, 22)
