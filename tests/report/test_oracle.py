"""DuckDB against counting by hand: any events, dates, zones and filters, in lake and spool."""

import tempfile
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from itertools import product
from pathlib import Path
from random import Random
from typing import get_args
from unittest.mock import patch

import msgspec
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.event import StoredEvent
from ingest.segment import CLOSED, OPEN
from report.questions.timeseries import Interval
from tests.report import oracle
from tests.report.holding import NOW, Folder, asking, event, figures, line

# Around these, clocks change, in one of the zones below, or a date does not exist
MOMENTS = [
    datetime(2025, 3, 30, 1, tzinfo=UTC),  # Berlin, forward
    datetime(2025, 10, 26, 1, tzinfo=UTC),  # Berlin, back
    datetime(2025, 11, 2, 6, tzinfo=UTC),  # New York, back
    datetime(2025, 4, 5, 15, tzinfo=UTC),  # Lord Howe, back by half an hour
    datetime(2011, 12, 30, 10, tzinfo=UTC),  # Apia has no 30 December
    datetime(2018, 11, 4, 3, tzinfo=UTC),  # Sao Paulo has no midnight
    datetime(2025, 11, 2, 5, tzinfo=UTC),  # Havana has midnight twice
]
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "America/Havana",
]
PATHS = ["/", "/a", "/ä", "/'; DROP", None]
REFERRERS = [
    None,
    "",
    "https://News.example/x",
    "http://u:p@news.example:80",
    "android-app://x",
    "?",
]
PROPS = st.none() | st.dictionaries(
    st.sampled_from(["plan", "a.b", "x/~y", "", "*"]),
    st.sampled_from(["pro", "", 'q"\\', 1, 2.5, True, None]),
    max_size=3,
)


@st.composite
def stored_events(draw, moment):
    shift = draw(st.integers(-36 * 4, 36 * 4)) * timedelta(minutes=15)
    return StoredEvent(
        site_id=draw(st.sampled_from(["blog", "shop"])),
        event_type=draw(st.sampled_from(["page_view", "page_view", "click"])),
        path=draw(st.sampled_from(PATHS)),
        user_id=draw(st.sampled_from(["ann", "bob", "cy", None])),
        timestamp=moment + shift + draw(st.sampled_from([0, 1, -1])) * timedelta(microseconds=1),
        event_id=draw(st.sampled_from([None, None, "1", "2"])),
        referrer=draw(st.sampled_from(REFERRERS)),
        props=draw(PROPS),
        received_at=NOW + draw(st.integers(0, 3)) * timedelta(seconds=1),
    )


@st.composite
def worlds(draw):
    """A list of segments, each with what becomes of it; what settles; and questions about them."""
    moment = draw(st.sampled_from(MOMENTS))
    segments = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["first pass", "second pass", CLOSED, OPEN]),
                st.lists(stored_events(moment), max_size=12),
            ),
            max_size=5,
        )
    )
    ends = sorted(draw(st.tuples(st.integers(-3, 3), st.integers(-3, 3))))
    days = [(moment + timedelta(days=end)).date() for end in ends]
    first, last = draw(
        st.sampled_from([days, [None, None], [days[0], None], [None, days[1]], [days[0]] * 2])
    )
    selection = {"first": first, "last": last, "tz": draw(st.sampled_from(ZONES))}
    filters = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "event_type": st.sampled_from(["", "click"]),
                "path": st.sampled_from(["", "/", "/ä", "/'; DROP", "/nobody"]),
                "referrer": st.sampled_from(["", "https://News.example/x"]),
                "referrer_host": st.sampled_from(["", "news.example"]),
                "user_id": st.sampled_from(["", "ann"]),
            },
        )
    )
    return (
        segments,
        draw(st.sets(st.sampled_from(["first pass", "second pass"]))),
        selection,
        filters,
    )


def fill(folder, segments, settled=()):
    """Put them where they belong; returns the events of each pass, and of the spool.

    `settled`: the passes after which all dates settle.
    """
    held = {"first pass": [], "second pass": [], CLOSED: [], OPEN: []}
    spool = []
    for fate, events in segments:
        state = OPEN if fate == OPEN else CLOSED
        held[fate].append(folder.segment(map(line, events), state))
        if fate in (CLOSED, OPEN):
            spool += events
    passes = []
    for fate in ("first pass", "second pass"):
        if held[fate]:
            folder.compact(*held[fate])
        if fate in settled:
            folder.settle()
        passes.append([event for each, events in segments if each == fate for event in events])
    return passes, spool


def as_query(selection, filters):
    given = {"from": selection["first"], "to": selection["last"], "tz": selection["tz"], **filters}
    return {name: str(value) for name, value in given.items() if value is not None}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    worlds(),
    st.sampled_from(["hour", "day", "week", "month"]),
    st.sampled_from(["path", "referrer", "referrer_host", "event_type", "user_id"])
    | st.sampled_from(["props.plan", "props.a.b", "props.x/~y", "props.", "props.*"]),
    st.integers(1, 4),
    st.integers(0, 3),
    st.sampled_from([0, 4096, 1 << 27]),
    st.sampled_from([0, 5, 100_000]),
)
def test_every_answer_is_what_counting_by_hand_gives(
    world, interval, by, limit, offset, memory, rows_max
):
    segments, settled, selection, filters = world
    with tempfile.TemporaryDirectory() as path:
        folder = Folder(Path(path))
        events = oracle.unique(*fill(folder, segments, settled))
        asked = {"site_id": "blog", **as_query(selection, filters)}
        selected = list(oracle.select(events, "blog", **selection, **filters))
        with (
            patch("report.snapshot.site_rows.SITE_ROWS_MAX", rows_max),
            asking(Path(path), spool_rows_bytes_max=memory) as client,
        ):
            told = figures(client, "/stats", **asked, limit=limit)
            assert (
                told["total_views"],
                told["unique_users"],
                told["top_paths"],
            ) == oracle.stats(selected, limit)

            told = figures(client, "/stats/timeseries", **asked, interval=interval)
            ends = selection["tz"], selection["first"], selection["last"]
            assert told["rows"] == oracle.timeseries(selected, interval, *ends)

            types = filters.get("event_type", "" if by == "event_type" else "page_view")
            of_types = oracle.select(events, "blog", **selection, **filters | {"event_type": types})
            page = {"by": by, "limit": limit, "offset": offset}
            told = figures(client, "/stats/breakdown", **asked, **page)
            assert (told["total"], told["rows"]) == oracle.breakdown(of_types, **page)

            assert figures(client, "/sites")["rows"] == oracle.sites(events)

            types = filters.get("event_type", "")
            of_types = oracle.select(events, "blog", **selection, **filters | {"event_type": types})
            assert exported(client, asked) == rows(of_types)

            assert_ledger(figures(client, "/ledger"), segments, events)


START = datetime(2025, 8, 18, tzinfo=UTC)


def test_a_series_of_a_site_that_is_too_large_to_keep_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("report.snapshot.site_rows.SITE_ROWS_MAX", 0)
    random = Random(5)

    def some(count, days):
        for _ in range(count):
            yield event(
                START + timedelta(seconds=random.randrange(days * 86_400)),
                site_id=random.choice(["blog", "shop"]),
                user_id=random.choice(["ann", "bob", "cy", "dan", None]),
                event_id=random.choice([None, None, *map(str, range(9))]),
            )

    folder = Folder(tmp_path)
    segments = [
        ("first pass", [event(START - timedelta(40), site_id="shop"), *some(300, days=75)]),
        ("second pass", list(some(100, days=40))),
        (CLOSED, [*some(40, days=5), *some(5, days=75), event(START + timedelta(90))]),
    ]
    events = oracle.unique(*fill(folder, segments, ["first pass"]))
    spans = [(None, None), (0, 2), (3, 16), (20, 78), (40, 95), (0, 74)]
    with asking(tmp_path) as client:
        for span, interval, tz in product(spans, get_args(Interval), ("UTC", "Europe/Berlin")):
            first, last = (None if n is None else START.date() + timedelta(n) for n in span)
            selection = {"first": first, "last": last, "tz": tz}
            selected = list(oracle.select(events, "blog", **selection))
            asked = {"site_id": "blog", "interval": interval, **as_query(selection, {})}
            told = figures(client, "/stats/timeseries", **asked)
            assert told["rows"] == oracle.timeseries(selected, interval, tz, first, last)


def exported(client, asked):
    """The rows of an export, of which all formats agree."""
    lines = client.get("/export", params=asked).content.splitlines()
    parquet = client.get("/export", params={**asked, "format": "parquet"}).content
    csv = client.get("/export", params={**asked, "format": "csv"}).text
    assert pq.read_table(BytesIO(parquet)).num_rows == len(lines)
    assert csv.count('"blog"') >= len(lines)
    return rows(msgspec.json.decode(each, type=StoredEvent) for each in lines)


def rows(events):
    return sorted(repr(event) for event in events)


def assert_ledger(ledger, segments, events):
    total = sum(len(each) for _, each in segments)
    waiting = sum(len(each) for fate, each in segments if fate in (CLOSED, OPEN))
    assert ledger["balanced"]
    assert ledger["accepted"] == total
    assert ledger["spool"] == waiting
    assert ledger["lake"] + ledger["duplicates"] == total - waiting
    by_site = {row["site_id"]: row for row in ledger["sites"]}
    for site in by_site:
        accepted = sum(event.site_id == site for _, each in segments for event in each)
        assert by_site[site]["accepted"] == accepted
    assert sum(row["accepted"] for row in by_site.values()) == total


def test_a_minute_that_a_clock_showed_twice_belongs_to_the_date_it_showed(tmp_path):
    """Until 2011 St. John's went back from 00:01 to 23:01 of the day before."""
    back = datetime(2006, 10, 29, 2, 31, tzinfo=UTC)  # 00:01 on 29 October
    moments = [back + timedelta(seconds=s) for s in (-90, -30, 30, 3570, 3630)]
    events = [
        StoredEvent(site_id="blog", event_type="page_view", timestamp=at, received_at=NOW)
        for at in moments
    ]
    folder = Folder(tmp_path)
    folder.segment(map(line, events))
    with asking(tmp_path) as client:
        for day in (date(2006, 10, 28), date(2006, 10, 29)):
            selection = {"first": day, "last": day, "tz": "America/St_Johns"}
            selected = list(oracle.select(events, "blog", **selection))
            asked = {"site_id": "blog", "date": str(day), "tz": "America/St_Johns"}
            assert figures(client, "/stats", **asked)["total_views"] == len(selected)
            hours = figures(client, "/stats/timeseries", **asked, interval="hour")["rows"]
            assert sum(row["views"] for row in hours) == len(selected)
