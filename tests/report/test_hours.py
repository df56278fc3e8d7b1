"""A series by hour where a clock changes: every event in one bucket, no bucket twice."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from random import Random
from zoneinfo import ZoneInfo, available_timezones

import pytest

from tests.report.holding import Folder, asking, event, figures, line
from tests.report.oracle import bucket

# Their clocks change, or changed, off the hour, or by a part of one
OFF_THE_HOUR = [
    *("Pacific/Chatham", "America/St_Johns", "America/Goose_Bay", "Australia/Lord_Howe"),
    *("Antarctica/Casey", "Asia/Bishkek", "Asia/Gaza", "Asia/Hong_Kong", "Pacific/Guam"),
    *("Asia/Kathmandu", "Asia/Pyongyang", "America/Caracas", "Africa/Monrovia"),
]
YEARS = range(1971, 2030)
CHANGES = 24  # each is a site


def changes(zone, year):
    """The instants at which a zone's clock changes, to the minute; found by looking."""
    at, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    step = timedelta(hours=3)
    while at < end:
        if offset(zone, at) != offset(zone, at + step):
            low, high = at, at + step
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) / 2
                low, high = (
                    (middle, high) if offset(zone, middle) == offset(zone, at) else (low, middle)
                )
            yield high.replace(second=0, microsecond=0)
        at += step


def offset(zone, at):
    return at.astimezone(zone).utcoffset()


def drawn(random, zones):
    """A zone and an instant around which its clock changes."""
    while True:
        zone = random.choice(zones)
        if found := list(changes(ZoneInfo(zone), random.choice(YEARS))):
            return zone, random.choice(found)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Sites by name: a zone, and events every ten minutes around a change of its clock."""
    random = Random(9)
    folder = Folder(tmp_path_factory.mktemp("data"))
    everywhere = sorted(available_timezones())
    sites = {}
    for n in range(CHANGES):
        zone, change = drawn(random, everywhere if n % 3 == 0 else OFF_THE_HOUR)
        moments = [change + timedelta(minutes=m) for m in range(-180, 180, 10)]
        sites[f"{n} {zone} {change:%Y-%m-%d}"] = zone, moments
    events = [
        event(at, site_id=site, user_id=random.choice(["ann", "bob"]))
        for site, (_, moments) in sites.items()
        for at in moments
    ]
    folder.segment(map(line, events))
    with asking(folder.path) as client:
        yield client, sites


def test_the_hours_of_a_series_have_every_event_once_wherever_a_clock_changes(world):
    client, sites = world
    wrong = []
    for (site, (zone, moments)), closed in product(sites.items(), (True, False)):
        local = [at.astimezone(ZoneInfo(zone)) for at in moments]
        dates = {"from": local[0].date(), "to": local[-1].date()} if closed else {}
        asked = {"site_id": site, "tz": zone, **dates}
        total = figures(client, "/stats", **asked)["total_views"]
        rows = figures(client, "/stats/timeseries", **asked, interval="hour")["rows"]
        by_hand = Counter(bucket(at, "hour") for at in local)  # in the order of time
        starts = [datetime.fromisoformat(row["start"]) for row in rows]
        told = [row["views"] for row in rows if row["views"]]
        rises = all(a < b for a, b in pairwise(starts))
        if total != len(moments) or told != list(by_hand.values()) or not rises:
            wrong.append((site, total, sum(told)))
    assert not wrong
