"""Visits of dates that have settled, of dates that have not, and of those that are both."""

from datetime import timedelta
from random import Random

import pytest

from ingest.event import StoredEvent
from report.problem import Problem
from report.runtime import Runtime
from report.settings import Settings
from report.snapshot import late_visits, site_rows
from report.terms.period import Dates
from report.terms.selection import Selection
from tests.compactor.visits_by_hand import COLUMNS, by_hand
from tests.report import oracle
from tests.report.holding import NOW, Folder, event, line

FIRST = NOW - timedelta(days=3)  # the last of four dates is open
FATES = ["settled", "settled", "second settling", "recent", "spool"]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


class Asked:
    """A report over one folder, asked without HTTP."""

    def __init__(self, folder, **settings):
        self.runtime = Runtime(Settings(data_dir=str(folder.path), **settings))

    def rows(self, first=None, last=None, **selection):
        """Every row with its visit, by the tag that stands in `referrer`."""
        snapshot = self.runtime.snapshots.take(Dates(first, last), "blog")
        cursor = self.runtime.cursor()
        relation = self.runtime.relation(cursor, snapshot, "blog")
        ends = {name: day for name, day in (("first", first), ("last", last)) if day}
        asked = Selection(site_id="blog", event_type="", **ends, **selection)
        told = ", ".join(["referrer", "date", *COLUMNS])
        found = relation.rows(relation.events_with_visits(asked), f"SELECT {told} FROM events")
        return sorted(found)


def expected(events, first=None, last=None):
    """The same by hand."""
    names = [field for field in StoredEvent.__struct_fields__ if field != "props"]
    inside = Dates(first, last)
    rows = [
        {name: getattr(each, name) for name in names}
        for each in events
        if each.site_id == "blog" and each.timestamp.date() in inside
    ]
    for row, columns in zip(rows, by_hand(rows), strict=True):
        values = [columns[name] for name in COLUMNS]
        yield row["referrer"], row["timestamp"].date(), *values


def some(random, count, tag):
    """Few users, so that their events meet; some at equal times, and some sent twice."""
    for n in range(count):
        minutes = random.randrange(4 * 24 * 6) * 10
        yield event(
            FIRST.replace(hour=0) + timedelta(minutes=minutes),
            site_id=random.choice(["blog", "blog", "shop"]),
            event_type=random.choice(["page_view", "page_view", "click", "engagement"]),
            user_id=random.choice(["ann", "bob", None]),
            path=random.choice(["/", "/a", None]),
            bot=random.choice([None, None, None, "search"]),
            engaged_ms=random.choice([None, 7_000]),
            event_id=random.choice([None, None, *map(str, range(40))]),
            referrer=f"{tag}-{n}",
        )


def fill(folder, random):
    passes, spool = [], []
    for fate in FATES:
        events = list(some(random, random.choice([0, 20, 150]), f"{fate}-{len(passes)}"))
        name = folder.segment(map(line, events))
        if fate == "spool":
            spool = events
        else:
            folder.compact(name)
            passes.append(events)
        if fate == "second settling":
            folder.settle()
    return oracle.unique(passes, spool)


@pytest.mark.parametrize("seed", range(9))
def test_visits_are_those_that_one_counts_by_hand_wherever_the_rows_are(folder, monkeypatch, seed):
    in_memory = [0, 30, 100_000][seed % 3]
    monkeypatch.setattr(site_rows, "SITE_ROWS_MAX", in_memory)
    random = Random(seed)
    events = fill(folder, random)
    spilled = {"spool_rows_bytes_max": 0} if seed // 3 == 0 else {}
    asked = Asked(folder, **spilled)
    day = FIRST.date()
    spans = [(None, None), (day, day), (day + timedelta(1), None), (None, day + timedelta(2))]
    for first, last in spans:
        every = sorted(expected(events, first, last))
        assert asked.rows(first, last, bots="include") == every
        people = {each.referrer for each in events if each.bot is None}
        assert asked.rows(first, last) == [row for row in every if row[0] in people]
    more = list(some(random, 20, "more"))
    folder.segment(map(line, more))
    assert asked.rows(bots="include") == sorted(expected(oracle.unique([events], more)))


def test_rows_of_late_dates_are_found_among_once_for_as_long_as_their_parts_are_the_same(
    folder, monkeypatch
):
    days = [NOW - timedelta(days=n) for n in (2, 1, 0)]
    folder.holds(event(days[0], user_id="ann", referrer="1"))
    folder.settle()
    folder.holds(event(days[0], user_id="bob", referrer="2"))
    looked = []
    stored = late_visits._stored
    monkeypatch.setattr(
        late_visits, "_stored", lambda *args: looked.append(args[-1]) or stored(*args)
    )
    asked = Asked(folder)
    assert len(asked.rows()) == len(asked.rows()) == 2
    assert looked == [[days[0].date()]]
    for n in range(3):
        folder.holds(event(days[2], user_id="ann", referrer=f"spool-{n}"), where="open")
        assert len(asked.rows()) == 3 + n
    assert len(looked) == 1 + 1  # there is a late date more
    folder.holds(event(days[1], user_id="ann", referrer="3"))
    assert len(asked.rows()) == 6
    assert len(looked) == 1 + 1 + 1
    kept = asked.runtime._late_visits
    assert kept.bytes > 0
    kept._bytes_max = 0
    assert len(asked.rows(days[1].date())) == 4
    assert (kept.bytes, len(kept._kept)) == (0, 0)


def test_too_many_rows_of_late_dates_are_refused(folder):
    folder.holds(event(NOW), event(NOW))
    folder.holds(event(NOW), where="open")
    assert len(Asked(folder, late_rows_max=2).rows()) == 3
    with pytest.raises(Problem, match="not settled"):
        Asked(folder, late_rows_max=1).rows()
    folder.holds(*(event(NOW - timedelta(days=1)) for _ in range(9)))
    folder.settle()
    day = (NOW - timedelta(days=1)).date()
    assert len(Asked(folder, late_rows_max=1).rows(day, day)) == 9
