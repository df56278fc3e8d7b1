"""Dates settle: what is in the parts of a year then, and what may still come to them."""

from datetime import date, timedelta

import pytest

from compactor.jobs.erase import erase_in
from compactor.jobs.subject import Person
from compactor.jobs.verify import Verification
from tests.compactor.folder import Folder, line

DAY = "2026-11-20"


def view(user, clock, day=DAY, **more):
    return line(more.pop("path", "/"), user=user, at=f"{day}T{clock}Z", **more)


@pytest.fixture
def folder(tmp_path):
    """A date that has settled: ann came twice, bob once."""
    folder = Folder(tmp_path, now=f"{DAY}T23:00:00")
    folder.segment(
        view("ann", "08:00:00", path="/in"),
        view("ann", "08:20:00", path="/out"),
        view("ann", "09:10:00"),
        view("bob", "08:10:00"),
    )
    folder.turn()
    folder.now = "2026-11-21T04:00:00"
    folder.turn()
    return folder


def findings(folder):
    return list(Verification(folder.path).run(lambda: None))


def visits(folder):
    """Of settled rows: user, number, views, minutes, exit."""
    assert not [name for name in folder.parts() if "recent" in name]
    return folder.rows(
        "user_id, visit, visit_views, visit_ms // 60_000, visit_exit", "visit_views IS NOT NULL"
    )


def settle_late(folder, *lines):
    folder.segment(*lines)
    folder.turn()
    folder.now = f"{date.fromisoformat(folder.now[:10]) + timedelta(days=2)}T05:00:00"
    folder.turn()
    assert findings(folder) == []


def test_its_rows_have_their_visits(folder):
    assert visits(folder) == [
        ("ann", 1, 2, 20, "/out"),
        ("ann", 2, 1, 0, "/"),
        ("bob", 1, 1, 0, "/"),
    ]
    assert findings(folder) == []


def test_late_events_prolong_join_and_precede_visits_of_a_settled_date(folder):
    settle_late(folder, view("bob", "08:40:00", path="/late"))
    assert visits(folder)[-1] == ("bob", 1, 2, 30, "/late")
    settle_late(folder, view("ann", "08:45:00"))
    assert visits(folder)[0] == ("ann", 1, 4, 70, "/")
    settle_late(folder, view("bob", "01:00:00", path="/first"))
    assert visits(folder)[1:] == [("bob", 1, 1, 0, "/first"), ("bob", 2, 2, 30, "/late")]
    assert len(folder.parts()) == 1


def test_an_erased_person_takes_the_visits_along_and_leaves_those_of_others(folder):
    passes = folder.passes()
    with passes.lock():
        found = erase_in(
            passes.lake, passes.lake.folders()[0], Person("shop", "ann"), passes.next_name
        )
    assert found.count == 3
    assert visits(folder) == [("bob", 1, 1, 0, "/")]
    assert findings(folder) == []
    settle_late(folder, view("bob", "08:40:00"))
    assert visits(folder) == [("bob", 1, 2, 30, "/")]


def test_a_date_with_more_rows_than_a_part_is_cut_by_site(tmp_path, monkeypatch):
    for module in ("compactor.settling", "compactor.jobs.settle"):
        monkeypatch.setattr(f"{module}.PART_ROWS_MAX", 25)
    folder = Folder(tmp_path, now="2026-11-22T08:00:00")
    days = ("2026-11-18", "2026-11-19", "2026-11-20")
    folder.segment(
        *(view("ann", "08:00:00", days[0]) for _ in range(10)),
        *(view(f"u{n}", "08:00:00", days[1], site=f"s{n % 7}") for n in range(70)),
        *(view("bob", "08:00:00", days[1], site="large") for _ in range(40)),
        *(view("ann", "08:00:00", days[2]) for _ in range(10)),
    )
    folder.turn()
    folder.turn()
    parts = [(str(p.first), str(p.last), folder.lake.footer(p)) for p in folder.lake.all_parts()]
    told = sorted((first, last, footer.sites, footer.total.rows) for first, last, footer in parts)
    assert told == [
        (days[0], days[0], ("shop", "shop"), 10),
        (days[1], days[1], ("large", "large"), 40),  # visits of a site are found in one part
        (days[1], days[1], ("s0", "s1"), 20),
        (days[1], days[1], ("s2", "s3"), 20),
        (days[1], days[1], ("s4", "s5"), 20),
        (days[1], days[1], ("s6", "s6"), 10),
        (days[2], days[2], ("shop", "shop"), 10),
    ]
    assert findings(folder) == []
    settle_late(folder, *(view("late", "08:00:00", days[1], site="s0") for _ in range(40)))
    assert len(folder.rows()) == 170


def test_files_grow_with_rows_and_not_with_dates(tmp_path):
    folder = Folder(tmp_path, now="2026-01-01T12:00:00")
    passes = folder.passes()
    for n in range(60):
        day = str(date(2026, 1, 1) + timedelta(days=n))
        folder.now = f"{day}T12:00:00"
        folder.segment(view("ann", "11:00:00", day))
        passes.turn(everything=True)
        assert len(folder.parts()) <= 2 + (n > 0)
    (settled,) = [part for part in passes.lake.all_parts() if not part.is_recent]
    footer = passes.lake.footer(settled)
    assert (footer.total.rows, footer.segments) == (59, [])
    assert footer.absorbed == {"aaaaaaaa": [(1, 59)]}
    assert len(footer.supersedes) == 1, "one span of numbers a process, however old the lake is"
    assert findings(folder) == []


def test_what_moves_out_of_a_settled_part_leaves_its_counts_and_comes_back(tmp_path):
    folder = Folder(tmp_path, now="2026-11-10T12:00:00", retention_days=30)
    for n in range(10, 20):
        day = f"2026-11-{n}"
        folder.now = f"{day}T12:00:00"
        folder.segment(
            view("ann", "11:00:00", day, id="1", path=f"/{n}"),
            view("eve", "11:00:00", day, id="1"),
            b"damaged\n",
        )
        folder.turn()
    folder.now = "2026-11-24T12:00:00"
    folder.turn()
    before = folder.rows("path, visit_views")
    passes = folder.passes()
    assert [str(day) for day in passes.expire(date(2026, 11, 13))] == [
        f"2026-11-{n}" for n in range(10, 14)
    ]
    assert folder.rows("path, visit_views") == before[4:]
    assert len(folder.parts()) == 1, "divided, and the older half is out"
    totals = [footer.total for footer in folder.footers()]
    assert [(t.rows, t.duplicates, t.quarantined) for t in totals] == [(6, 10, 10)]
    assert findings(folder) == []
    folder.segment(view("zoe", "11:00:00", "2026-11-24"))
    folder.turn()
    folder.now = "2026-11-25T12:00:00"
    folder.turn()
    assert [footer.total.lines for footer in folder.footers()] == [27], "settled without the moved"
    assert findings(folder) == []
    assert [is_back for _, is_back in passes.restore()] == [True]
    folder.now = "2026-11-26T12:00:00"
    folder.turn()
    assert folder.rows("path, visit_views", "user_id = 'ann'") == before
    assert [footer.total.lines for footer in folder.footers()] == [31]
    assert len(folder.parts()) == 1 and findings(folder) == []


def test_a_part_whose_segment_is_still_in_the_spool_does_not_settle(tmp_path):
    """It waits for a part of another year that cannot be read."""
    folder = Folder(tmp_path, now="2026-11-22T08:00:00")
    folder.segment(view("ann", "08:00:00", "2025-11-20"))
    folder.turn()
    (bad,) = folder.files("2025-11-20")
    sound = bad.read_bytes()
    bad.write_bytes(b"")
    folder.segment(view("ann", "09:00:00", "2025-11-20"), view("ann", "09:00:00"))
    passes = folder.passes()
    passes.turn(everything=True)
    assert len(list(folder.spool.iterdir())) == 1
    assert [name for name in folder.parts() if "recent" in name and DAY in name]
    bad.write_bytes(sound)
    passes.turn(everything=True)
    passes.turn(everything=True)
    assert len(folder.rows()) == 3
    assert len(visits(folder)) == 3 and findings(folder) == []
