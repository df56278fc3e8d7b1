"""The dates of POST /query: what a word means, what goes before it, and where clocks change."""

from datetime import datetime, timedelta

import pytest

from report.terms.query.date_range import read
from report.terms.zone import to_instant
from tests.report.holding import Folder, asking, event

NOON = "2025-11-12T12:00:00+01:00"


def dates(given, now=NOON, zone="Europe/Berlin"):
    return read(given, zone, to_instant(datetime.fromisoformat(now)), "$")


WORDS = [
    ("day", NOON, "2025-11-12T00:00:00+01:00", "2025-11-12T23:59:59+01:00"),
    ("24h", NOON, "2025-11-11T12:00:00+01:00", "2025-11-12T11:59:59+01:00"),
    ("7d", NOON, "2025-11-05T00:00:00+01:00", "2025-11-11T23:59:59+01:00"),
    ("28d", NOON, "2025-10-15T00:00:00+02:00", "2025-11-11T23:59:59+01:00"),
    ("month", NOON, "2025-11-01T00:00:00+01:00", "2025-11-30T23:59:59+01:00"),
    ("6mo", NOON, "2025-05-01T00:00:00+02:00", "2025-10-31T23:59:59+01:00"),
    ("year", NOON, "2025-01-01T00:00:00+01:00", "2025-12-31T23:59:59+01:00"),
    ("day", "2025-10-26T12:00:00+01:00", "2025-10-26T00:00:00+02:00", "2025-10-26T23:59:59+01:00"),
    ("24h", "2025-10-26T12:00:00+01:00", "2025-10-25T13:00:00+02:00", "2025-10-26T11:59:59+01:00"),
]


@pytest.mark.parametrize(("word", "now", "first", "last"), WORDS)
def test_a_word_means_these_dates(word, now, first, last):
    assert dates(word, now).ends == [first, last]


EARLIER = [
    # dates that are over: as many days, or months, before
    ("7d", NOON, "2025-10-29T00:00:00+01:00", "2025-11-04T23:59:59+01:00"),
    ("1mo", NOON, "2025-09-01T00:00:00+02:00", "2025-09-30T23:59:59+02:00"),
    ("6mo", NOON, "2024-11-01T00:00:00+01:00", "2025-04-30T23:59:59+02:00"),
    ("24h", NOON, "2025-11-10T12:00:00+01:00", "2025-11-11T11:59:59+01:00"),
    # dates that are not: up to the same time of day
    ("day", NOON, "2025-11-11T00:00:00+01:00", "2025-11-11T11:59:59+01:00"),
    ("month", NOON, "2025-10-01T00:00:00+02:00", "2025-10-12T11:59:59+02:00"),
    (
        "month",
        "2025-03-31T09:00:00+02:00",
        "2025-02-01T00:00:00+01:00",
        "2025-02-28T08:59:59+01:00",
    ),
    ("year", NOON, "2024-01-01T00:00:00+01:00", "2024-11-12T11:59:59+01:00"),
    # the clock goes back, or forward, between the two
    ("day", "2025-10-27T09:30:00+01:00", "2025-10-26T00:00:00+02:00", "2025-10-26T09:29:59+01:00"),
    ("day", "2025-10-26T09:30:00+01:00", "2025-10-25T00:00:00+02:00", "2025-10-25T09:29:59+02:00"),
    ("day", "2025-03-30T09:30:00+02:00", "2025-03-29T00:00:00+01:00", "2025-03-29T09:29:59+01:00"),
]


@pytest.mark.parametrize(("word", "now", "first", "last"), EARLIER)
def test_what_goes_before_is_as_long_and_ends_at_the_same_time_of_day(word, now, first, last):
    instant = to_instant(datetime.fromisoformat(now))
    assert dates(word, now).before(instant).ends == [first, last]


def test_a_year_earlier_has_the_same_dates():
    instant = to_instant(datetime.fromisoformat(NOON))
    leap = dates(["2024-02-29", "2024-02-29"])
    assert leap.a_year_earlier(instant).ends == [
        "2023-02-28T00:00:00+01:00",
        "2023-02-28T23:59:59+01:00",
    ]
    assert dates("day").a_year_earlier(instant).ends == [
        "2024-11-12T00:00:00+01:00",
        "2024-11-12T11:59:59+01:00",
    ]


@pytest.fixture(scope="module")
def berlin(tmp_path_factory):
    """A view each half hour, of the days around which the clock goes back and forward."""
    folder = Folder(tmp_path_factory.mktemp("berlin"))
    events = []
    for start in ("2025-10-25T00:10:00+02:00", "2025-03-29T00:10:00+01:00"):
        first = datetime.fromisoformat(start)
        events += [event(first + timedelta(minutes=30 * n), user_id=f"u{n}") for n in range(150)]
    folder.holds(*events)
    with asking(folder.path) as client:
        yield client


def hours(client, day, before):
    asked = {
        "site_id": "blog",
        "tz": "Europe/Berlin",
        "date_range": [day, day],
        "metrics": ["pageviews"],
        "dimensions": ["time:hour"],
        "include": {
            "time_labels": True,
            "comparisons": {"mode": "custom", "date_range": [before, before]},
        },
    }
    answer = client.post("/query", json=asked).json()
    labels = answer["meta"]["time_labels"]
    assert [row["dimensions"] for row in answer["results"]] == [[label] for label in labels]
    return {
        row["dimensions"][0]: row.get("comparison", {"dimensions": [None]})["dimensions"][0]
        for row in answer["results"]
    }


def test_an_hour_is_compared_with_the_hour_that_the_clock_showed(berlin):
    back = hours(berlin, "2025-10-26", "2025-10-25")
    assert len(back) == 25
    assert back["2025-10-26T02:00:00+02:00"] == "2025-10-25T02:00:00+02:00"
    assert back["2025-10-26T02:00:00+01:00"] is None  # it was shown a second time
    assert back["2025-10-26T03:00:00+01:00"] == "2025-10-25T03:00:00+02:00"
    forward = hours(berlin, "2025-03-30", "2025-03-29")
    assert len(forward) == 23
    assert forward["2025-03-30T03:00:00+02:00"] == "2025-03-29T03:00:00+01:00"
    after = hours(berlin, "2025-03-31", "2025-03-30")
    assert after["2025-03-31T02:00:00+02:00"] is None  # there was none on the day before


def test_a_comparison_is_what_asking_for_those_dates_gives(berlin):
    asked = {
        "site_id": "blog",
        "tz": "Europe/Berlin",
        "date_range": ["2025-10-26", "2025-10-26"],
        "metrics": ["pageviews", "visitors", "bounce_rate"],
        "dimensions": ["event:page"],
    }
    asked |= {"metrics": ["pageviews", "visitors"]}
    compared = asked | {"include": {"comparisons": {"mode": "previous_period"}}}
    [row] = berlin.post("/query", json=compared).json()["results"]
    [before] = berlin.post(
        "/query", json=asked | {"date_range": ["2025-10-25", "2025-10-25"]}
    ).json()["results"]
    assert row["metrics"] == [50, 50]  # a day of 25 hours
    assert row["comparison"]["metrics"] == before["metrics"] == [48, 48]
    assert row["comparison"]["change"] == [4.17, 4.17]
    earlier = asked | {"include": {"comparisons": {"mode": "year_over_year"}}}
    [row] = berlin.post("/query", json=earlier).json()["results"]
    assert row["comparison"] == {
        "dimensions": ["(not set)"],
        "metrics": [0, 0],
        "change": [100.0, 100.0],
    }


def test_who_stays_past_midnight_is_there_on_both_days_and_the_visit_on_the_first(tmp_path):
    folder = Folder(tmp_path)
    moments = ["2025-11-11T23:58:00-05:00", "2025-11-12T00:03:00-05:00"]
    folder.holds(*(event(at, user_id="ann", path="/") for at in moments))
    asked = {"site_id": "blog", "tz": "America/New_York", "metrics": ["visitors", "visits"]}
    with asking(tmp_path) as client:
        for day, figures in (("2025-11-11", [1, 1]), ("2025-11-12", [1, 0])):
            for dimensions in ([], ["visit:entry_page"]):
                more = {"date_range": [day, day], "dimensions": dimensions}
                answer = client.post("/query", json=asked | more).json()
                assert [row["metrics"] for row in answer["results"]] == [figures]
