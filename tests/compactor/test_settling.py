"""Which parts of a year settle, and into what: a table of cases; no disk and no clock has a say."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from compactor.lake.format import Folder, Part
from compactor.settling import (
    LATE_MS_MAX,
    LATE_PARTS_MAX,
    MERGE_PARTS_MAX,
    PART_ROWS_MAX,
    HeldPart,
    plan_settling,
)

NOW_MS = 1_795_305_600_000
MAX = PART_ROWS_MAX
FOLDER = Folder.of_year(2026)


def day(n):
    return date(2026, 1, 1) + timedelta(days=n - 1)


def part(n, rows, age_ms=0, is_recent=True):
    """`rows`: by the number of the day."""
    id = f"{NOW_MS - age_ms:013d}-aaaaaaaa-{n:06d}"
    first, last = day(min(rows)), day(max(rows))
    held = {day(number): count for number, count in rows.items()}
    return HeldPart(Part(id, first, last, is_recent, FOLDER), held)


def settled(n, rows):
    return part(n, rows, is_recent=False)


def fixed(n, rows):
    return replace(settled(n, rows), is_fixed=True)


def days(first, last, each):
    return dict.fromkeys(range(first, last + 1), each)


OLD = LATE_MS_MAX


@pytest.mark.parametrize(
    ("held", "late", "merges"),
    [
        pytest.param([], [], [], id="nothing"),
        pytest.param([settled(1, {1: 9})], [], [], id="all is settled"),
        pytest.param([], [part(1, {5: 9})], [([1], [(5, 5)])], id="the first date that closes"),
        pytest.param(
            [],
            [part(1, {5: 9}), part(2, {5: 1}), part(3, {6: 2})],
            [([1, 2, 3], [(5, 6)])],
            id="several dates at once, as after a holiday",
        ),
        pytest.param(
            [settled(1, days(1, 4, 100))],
            [part(2, {5: 1})],
            [([1, 2], [(1, 5)])],
            id="a date that closed grows the last settled part, however few rows it has",
        ),
        pytest.param(
            [settled(1, days(1, 4, MAX // 4))],
            [part(2, {5: 1})],
            [([2], [(5, 5)])],
            id="until that is full: then a new one begins",
        ),
        pytest.param(
            [settled(1, days(1, 4, MAX // 4)), settled(2, {5: 7})],
            [part(3, {6: 1})],
            [([2, 3], [(5, 6)])],
            id="which grows from then on, and the full one is left alone",
        ),
        pytest.param(
            [settled(1, days(1, 4, MAX // 5))],
            [part(2, {5: MAX // 4})],
            [([1, 2], [(1, 4), (5, 5)])],
            id="what grew too large is cut between dates",
        ),
        pytest.param(
            [settled(1, {1: 5})],
            [part(2, {2: 3 * MAX}), part(3, {3: 5})],
            [([1, 2, 3], [(1, 1), (2, 2), (3, 3)])],
            id="a date that has more alone is cut off from its neighbours",
        ),
        pytest.param(
            [settled(1, {2: MAX}), settled(2, {2: MAX})],
            [part(3, {2: MAX})],
            [([1, 2, 3], [(2, 2)])],
            id="and its parts are written anew together",
        ),
        pytest.param([settled(1, {1: 100})], [part(2, {1: 24})], [], id="a trickle waits"),
        pytest.param(
            [settled(1, {1: 100})],
            [part(2, {1: 25})],
            [([1, 2], [(1, 1)])],
            id="until it is a quarter",
        ),
        pytest.param(
            [settled(1, {1: 100})],
            [part(2, {1: 1}, OLD), part(3, {1: 1})],
            [([1, 2, 3], [(1, 1)])],
            id="or a day old",
        ),
        pytest.param(
            [settled(1, {1: 100_000})],
            [part(n, {1: 1}) for n in range(2, LATE_PARTS_MAX + 2)],
            [([*range(1, LATE_PARTS_MAX + 2)], [(1, 1)])],
            id="or many parts",
        ),
        pytest.param(
            [settled(1, {1: 100, 3: 100})],
            [part(2, {2: 60})],
            [([1, 2], [(1, 3)])],
            id="rows of a date between two others belong to their part",
        ),
        pytest.param(
            [settled(1, {5: 100})],
            [part(2, {1: 60})],
            [([1, 2], [(1, 5)])],
            id="rows before all others belong to the first part",
        ),
        pytest.param(
            [settled(1, {1: 100})],
            [part(2, {1: 1}), part(3, {2: 1})],
            [([1, 2, 3], [(1, 2)])],
            id="a trickle goes along when its part is written anew for another reason",
        ),
        pytest.param(
            [settled(1, {1: MAX}), settled(2, {2: 100})],
            [part(3, {1: 1, 2: 1}), part(4, {3: 1})],
            [([2, 4], [(2, 3)])],
            id="but not when it would take a part with it that could wait",
        ),
        pytest.param(
            [settled(1, {1: MAX}), settled(2, {2: 100})],
            [part(3, {1: 1, 2: 25})],
            [([1, 3], [(1, 1)]), ([2, 3], [(2, 2)])],
            id="a part is merged with all of its rows, so it may take one with it",
        ),
        pytest.param(
            [settled(1, {2: 100})],
            [part(2, {2: 0}), part(3, {2: 0}, OLD)],
            [([1, 2, 3], [(2, 2)])],
            id="parts without rows, of duplicates say, are merged like others",
        ),
        pytest.param(
            [settled(1, {1: 9}), fixed(2, {3: 9})],
            [part(3, {3: 9}), part(4, {2: 9}), part(5, {4: 9}), part(6, {2: 9, 3: 9})],
            [([1, 4], [(1, 2)]), ([5], [(4, 4)])],
            id="what belongs to a part that cannot be read waits, and all else goes on",
        ),
        pytest.param(
            [],
            [part(n, {1: 1}) for n in range(MERGE_PARTS_MAX + 20)],
            [([*range(MERGE_PARTS_MAX)], [(1, 1)])],
            id="no merge opens more files than that",
        ),
    ],
)
def test_settling(held, late, merges):
    def numbers(merge):
        return [int(part.id[23:]) for part in merge.parts]

    def cuts(merge):
        return [tuple((each - day(0)).days for each in cut) for cut in merge.cuts]

    found = plan_settling(held, late, NOW_MS)
    assert [(sorted(numbers(merge)), cuts(merge)) for merge in found] == merges
