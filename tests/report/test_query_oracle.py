"""POST /query against counting by hand: all that can be asked, wherever the events are."""

from datetime import timedelta
from random import Random

import pytest
from msgspec.structs import replace

from ingest.segment import CLOSED, OPEN
from tests.processes import compact_once
from tests.report.holding import Folder, asking, line
from tests.report.oracle import unique
from tests.report.query_oracle import World
from tests.report.query_worlds import ZONES, pairings, question, site

SEED = 1
# Questions of which much is left, by all sites
PLAIN = [([], [])] * 16 + [([name], []) for name in ("event:page", "visit:entry_page")] * 4
STATES = ("settled", "recent", "spool", "mixed")


def filled(path, random):
    """A site for each zone and state; its events as they count."""
    folder = Folder(path)
    fates = {"settled": [], "first": [], "second": [], CLOSED: [], OPEN: []}
    places = {"settled": ["settled"], "recent": ["first", "second"], "spool": [CLOSED, OPEN]}
    places["mixed"] = list(fates)
    sites = {}
    for zone, start in ZONES.items():
        for state in STATES:
            name = f"{state} {zone}"
            mine = {fate: [] for fate in fates}
            for each in site(random, start, name):
                mine[random.choice(places[state])].append(each)
                if each.event_id and random.random() < 0.3:  # sent again
                    mine[random.choice(places[state])].append(each)
            *passes, closed, opened = mine.values()
            sites[name] = zone, start, unique(passes, closed + opened)
            for fate, events in mine.items():
                fates[fate] += events
    folder.segment(map(line, fates["settled"]))
    compact_once(path)
    folder.holds(*fates["first"])
    folder.holds(*fates["second"])
    folder.segment(map(line, fates[CLOSED]), CLOSED)
    folder.segment(map(line, fates[OPEN]), OPEN)
    return sites


def told(client, body):
    answer = client.post("/query", json=body)
    assert answer.status_code == 200, (answer.text, body)
    return {tuple(row["dimensions"]): row["metrics"] for row in answer.json()["results"]}


def by_hand(body, events):
    absent = {"visit:source": "Direct / None"}
    return {
        tuple(
            absent.get(name, "(not set)") if value is None else value
            for name, value in zip(body["dimensions"], group, strict=True)
        ): metrics
        for group, metrics in World(events, body).answer().items()
    }


def alike(told, counted):
    """Ratios are told with two decimals."""
    return told.keys() == counted.keys() and all(
        len(told[group]) == len(counted[group]) and all(map(is_close, told[group], counted[group]))
        for group in counted
    )


def is_close(told, counted):
    if told is None or counted is None:
        return told is counted
    return abs(told - counted) <= (0.0051 if isinstance(told, float) else 0)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    sites = list(filled(path, Random(SEED)).items())
    with asking(path) as client:
        yield client, sites


def test_every_answer_is_what_counting_by_hand_gives(world):
    """Every metric with every dimension and every operator."""
    client, sites = world
    random = Random(SEED)
    wrong = []
    for n, (dimensions, operators) in enumerate([*PLAIN, *pairings(random)]):
        name, (zone, start, events) = sites[n % len(sites)]
        body = question(random, name, zone, start, dimensions, operators)
        answer, counted = told(client, body), by_hand(body, events)
        if not alike(answer, counted):
            wrong.append((body, difference(answer, counted)))
    assert not wrong, f"{len(wrong)} of {n + 1}, as {wrong[:4]}"


def difference(told, counted):
    """The first group that is not told as it is."""
    for group in sorted(told.keys() | counted.keys()):
        if group not in told or group not in counted:
            return group, told.get(group), counted.get(group)
        if not all(map(is_close, told[group], counted[group])):
            return group, told[group], counted[group]
    return None


def test_what_is_asked_of_several_sites_or_compared_is_counted_by_hand_too(world):
    client, sites = world
    random = Random(SEED)
    for n, dimensions in enumerate([[], ["event:page"], ["visit:source"], ["event:goal"]] * 2):
        (first, (zone, start, events)), (second, (*_, others)) = sites[n % 4 : n % 4 + 2]
        body = question(random, first, zone, start, dimensions, ["has_done"])
        body["metrics"] = [name for name in body["metrics"] if name != "percentage"]
        both = [*apart(events, first), *apart(others, second)]
        answer = told(client, body | {"site_id": [first, second]})
        assert difference(answer, by_hand(body, both)) is None, body

        dates = [f"{start:%Y-%m-%d}", f"{start + timedelta(days=1):%Y-%m-%d}"]
        compared = {"mode": "custom", "date_range": dates}
        rows = client.post("/query", json=body | {"include": {"comparisons": compared}}).json()
        before = by_hand(body | {"date_range": dates}, events)
        for row in rows["results"]:
            group = tuple(row["dimensions"])
            assert tuple(row["comparison"]["dimensions"]) == group
            if group in before:
                told_then = {group: row["comparison"]["metrics"]}
                assert difference(told_then, {group: before[group]}) is None, body
            else:
                assert not any(row["comparison"]["metrics"][:4])


def apart(events, name):
    """Of several sites everybody counts on each."""
    return [replace(event, user_id=event.user_id and f"{name} {event.user_id}") for event in events]
