"""POST /funnel, /retention and /journeys against counting by hand, wherever the events are."""

from datetime import timedelta
from itertools import product
from random import Random
from zoneinfo import ZoneInfo

import pytest

from ingest.segment import CLOSED, OPEN
from tests.processes import compact_once
from tests.report.holding import Folder, asking, event, line
from tests.report.paths_oracle import GOALS, STEPS, Paths, instant

SEED = 4
STATES = ("settled", "recent", "spool", "mixed")
USERS = 260  # of each state
START = instant(2025, 10, 13, 1)  # clocks change on 26 October and 2 November
DATES = ["2025-10-15", "2025-11-12"]
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
KINDS = ["page_view"] * 6 + ["order"] * 2 + ["engagement"] * 2
PATHS = ["/a", "/a", "/b", "/docs/x", "/docs/ä", None]
ARRIVED = [instant(2025, 11, 14, hour) for hour in (1, 2)]


def people(random, site):
    """Some visits each, whose events are half minutes apart or at the same time."""
    for n in range(USERS):
        user = f"{random.choice('xyz')}{n}" if n % 50 else None
        for _ in range(random.choice([1, 1, 2, 3])):
            at = START + timedelta(minutes=random.randrange(33 * 1440))
            for _ in range(random.choice([1, 3, 5, 8])):
                at += random.choice([0, 0, 1, 1, 2, 60]) * timedelta(seconds=30)
                moment = at + timedelta(microseconds=random.choice([0, 0, 0, 1]))
                yield of(random, site, user, moment)


def of(random, site, user, at):
    kind = random.choice(KINDS)
    return event(
        at,
        site_id=site,
        user_id=user,
        event_type=kind,
        path=random.choice(PATHS),
        country=random.choice([None, "DE", "EE"]),
        bot="search" if random.random() < 0.02 else None,
        event_id=f"{random.random()}" if random.random() < 0.3 else None,
        received_at=random.choice(ARRIVED),
        scroll=random.choice([10, 90]) if kind == "engagement" else None,
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A client, and the events of each site."""
    random = Random(SEED)
    folder = Folder(tmp_path_factory.mktemp("paths"))
    places = {"settled": ["settled"], "recent": ["first", "second"], "spool": [CLOSED, OPEN]}
    places["mixed"] = ["settled", "first", "second", CLOSED, OPEN]
    held = {place: [] for place in places["mixed"]}
    sites = {state: list(people(random, state)) for state in STATES}
    for state, events in sites.items():
        for each in events:
            held[random.choice(places[state])].append(each)
    folder.segment(map(line, held["settled"]))
    compact_once(folder.path)
    folder.holds(*held["first"])
    folder.holds(*held["second"])
    folder.segment(map(line, held[CLOSED]), CLOSED)
    folder.segment(map(line, held[OPEN]), OPEN)
    with asking(folder.path) as client:
        yield client, sites


def told(client, path, body):
    answer = client.post(path, json={"date_range": DATES, "goals": GOALS} | body)
    assert answer.status_code == 200, (answer.text, body)
    return answer.json()


def test_there_are_enough_people(world):
    _, sites = world
    users = {(site, each.user_id) for site, events in sites.items() for each in events}
    assert len(users) > 1_000


FUNNELS = [
    ["A", "page b", "Order"],
    ["A", "Docs", "A"],
    ["any", "German", "page b", "Order", "Docs"],
    ["Read", "Docs"],
]
SPLITS = {
    "visit:country": lambda row: row.event.country or "(not set)",
    "visit:entry_page": lambda row: entry_page(row.visit),
    "time:week": lambda row: str(week(row, ZoneInfo("Europe/Berlin"))),
}


def entry_page(visit):
    return (visit and visit.views and visit.views[0].event.path) or "(not set)"


def week(row, zone):
    day = row.event.timestamp.astimezone(zone).date()
    return day - timedelta(days=day.isoweekday() - 1)


def funnels():
    """Every order of every unit in windows that end with an event, on every state."""
    every = product(("sequential", "strict", "any"), ("visitor", "visit"), (30, 90, 86_400))
    for n, (order, unit, window_s) in enumerate(every):
        yield STATES[n % 4], {"order": order, "unit": unit, "window_s": window_s}, FUNNELS[n % 3]
    for n, order in enumerate(("sequential", "strict", "any")):
        yield STATES[n], {"order": order, "unit": "visit", "window_s": 300}, FUNNELS[3]


def test_a_funnel_is_what_counting_by_hand_gives(world):
    client, sites = world
    wrong, reached = [], 0
    for n, (site, how, names) in enumerate(funnels()):
        split = [None, *SPLITS][n % 4]
        body = how | {"site_id": site, "steps": [STEPS[name][0] for name in names]}
        body |= {"dimensions": [split]} if split else {}
        body |= {"tz": "Europe/Berlin"} if n % 4 in (1, 3) else {}
        found = {
            (row["dimensions"] or [None])[0]: [
                (step["count"], step["median_s"]) for step in row["steps"]
            ]
            for row in told(client, "/funnel", body)["results"]
        }
        by_hand = Paths(sites[site], body | {"date_range": DATES}, names)
        counted = by_hand.funnel(names, SPLITS.get(split, lambda row: None))
        counted = {group: list(map(rounded, steps)) for group, steps in counted.items()}
        reached += sum(step[0] for steps in found.values() for step in steps[-1:])
        if found != counted:
            wrong.append((body, found, counted))
    assert not wrong, f"{len(wrong)} of {n + 1}, as {wrong[:2]}"
    assert reached > 100


def rounded(step):
    count, seconds = step
    return count, None if seconds is None else round(seconds, 3)


def test_who_came_back_is_what_counting_by_hand_gives(world):
    client, sites = world
    everybody = {site: [each for each in sites[site] if each.event_type] for site in STATES}
    for n, (zone, interval) in enumerate(product(ZONES, ("day", "week", "month"))):
        site = STATES[n % 4]
        body = {"site_id": site, "tz": zone, "interval": interval}
        by_hand = Paths(everybody[site], body | {"date_range": DATES})
        counts, periods = by_hand.retention(), by_hand.periods()
        assert [
            (row["cohort"], row["visitors"], row["returned"])
            for row in told(client, "/retention", body)["results"]
        ] == [
            (
                str(first),
                counts[first, first],
                [counts[first, later] for later in periods[i + 1 :]],
            )
            for i, first in enumerate(periods)
        ], body


def test_journeys_are_what_counting_by_hand_gives(world):
    client, sites = world
    ends = [("any", False), ("/a", False), ("/a", True), ("Order", True), ("Order", False)]
    ends += [("German", True), ("page b", False), ("Read", True), ("Read", False)]
    every = product(ends, (["event:page"], ["event:name"]))
    for n, ((name, is_to), dimensions) in enumerate(every):
        site, asked = STATES[n % 4], STEPS[name][0]
        asked = ["is", "event:goal", [name]] if name in ("Order", "Read") else asked
        body = {"site_id": site, "steps": 2 + n % 4, "dimensions": dimensions}
        body |= {} if name == "any" else {"to" if is_to else "from": asked}
        answer = told(client, "/journeys", body | {"pagination": {"limit": 10_000}})
        by_hand = Paths(sites[site], body | {"date_range": DATES}, [name])
        counted = by_hand.journeys(name, is_to)
        assert {tuple(row["journey"]): row["visits"] for row in answer["results"]} == counted, body
        assert answer["meta"]["visits"] == counted.total() > 20
