"""Visits as compactor.lake.visits finds them, and as one counts them by hand, row by row."""

import random
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactor.lake.columns import VISIT_SCHEMA
from compactor.lake.visit_keys import Rows
from compactor.lake.visit_metrics import BOUNCE_MS_MIN, METRICS, SUMS, visits_with
from compactor.lake.visits import add_visits, find_visits
from tests.compactor.visits_by_hand import COLUMNS, by_hand

INSTANT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    {name: pa.string() for name in ("site_id", "event_type", "path", "user_id", "event_id")}
    | {"timestamp": INSTANT, "received_at": INSTANT, "referrer": pa.string(), "bot": pa.string()}
    | {"engaged_ms": pa.int64()}
)
DAY = datetime(2026, 11, 22, tzinfo=UTC)
GAP = timedelta(minutes=30)
TICK = timedelta(microseconds=1)


def at(text):
    """A time of 22 November, "10:30" or "10:30:01.000001"; a day later with a "+" before it."""
    clock = datetime.strptime(text.lstrip("+"), "%H:%M:%S.%f" if "." in text else "%H:%M")
    return DAY.replace(
        hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=clock.microsecond
    ) + timedelta(days=text.startswith("+"))


def event(timestamp, event_type="page_view", path="/", **more):
    row = {"site_id": "blog", "user_id": "ann", "received_at": DAY + timedelta(days=2)}
    row |= {"timestamp": timestamp, "event_type": event_type, "path": path} | more
    return {name: row.get(name) for name in SCHEMA.names}


def view(clock, path="/", **more):
    return event(at(clock), "page_view", path, **more)


def click(clock, **more):
    return event(at(clock), "click", **more)


def engagement(clock, engaged_ms=1_000, **more):
    return event(at(clock), "engagement", engaged_ms=engaged_ms, **more)


def table(rows):
    return pa.Table.from_pylist(rows, SCHEMA)


def found(rows):
    """The visit columns of each row."""
    return add_visits(table(rows)).select(COLUMNS).to_pylist()


def visits(*rows):
    """Of each row the number of its visit, and the summaries of all visits as tuples."""
    columns = found(rows)
    summaries = [
        tuple(row[name] for name in COLUMNS[1:])
        for row in columns
        if row["visit_views"] is not None
    ]
    return [row["visit"] for row in columns], summaries


STEPS = [timedelta(0), TICK, timedelta(seconds=9), timedelta(minutes=7), GAP - TICK, GAP]
STEPS += [GAP + TICK, timedelta(hours=5), timedelta(hours=23)]
TYPES = ["page_view"] * 3 + ["engagement"] * 2 + ["click", "signup"]


def world(seed, users=4, most=14):
    """Rows of a few users, who come and go at times that matter, in no order."""
    draw = random.Random(seed)
    rows = []
    for site in ("blog", "shop"):
        for user in [None, *(f"user-{n}" for n in range(users))]:
            now = DAY + draw.choice(STEPS)
            for _ in range(draw.randrange(most)):
                now += draw.choice(STEPS)
                rows.append(_some_event(draw, site, user, now))
    draw.shuffle(rows)
    return rows


def _some_event(draw, site, user, now):
    kind = draw.choice(TYPES)
    return event(
        now,
        kind,
        draw.choice(["/", "/pricing", "/é", None]),
        site_id=site,
        user_id=user,
        bot=draw.choice([None] * 9 + ["search"]),
        event_id=draw.choice([None, "a", "b", "ü", "z" * 20]),
        referrer=draw.choice([None, "https://a.example/", ""]),
        engaged_ms=draw.choice([None, 0, 400, 9_999, 10_000])
        if kind == "engagement" or draw.random() < 0.1
        else None,
        received_at=now + draw.choice([TICK, TICK, GAP]),
    )


def lined_up(rows, columns):
    """Rows with their visit columns, in an order that says nothing of where they came from."""
    return sorted((repr(row | each) for row, each in zip(rows, columns, strict=True)))


@pytest.mark.parametrize("seed", range(100))
def test_visits_are_those_that_one_counts_by_hand(seed):
    rows = world(seed)
    # rows that are alike in all of ORDER may be exchanged
    assert lined_up(rows, found(rows)) == lined_up(rows, by_hand(rows))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_hypothesis_finds_no_rows_that_are_counted_otherwise_by_hand(data):
    rows = data.draw(
        st.lists(
            st.builds(
                event,
                st.lists(st.sampled_from(STEPS), max_size=4).map(lambda s: DAY + sum(s, STEPS[0])),
                st.sampled_from(["page_view", "click", "engagement"]),
                st.sampled_from([None, "/", "/a"]),
                user_id=st.sampled_from([None, "ann", "bob"]),
                site_id=st.sampled_from(["blog", "shop"]),
                bot=st.sampled_from([None, None, "ai"]),
                event_id=st.sampled_from([None, "1", "2"]),
                engaged_ms=st.sampled_from([None, 1, 10_000]),
            ),
            max_size=12,
        )
    )
    assert lined_up(rows, found(rows)) == lined_up(rows, by_hand(rows))


@pytest.mark.parametrize("seed", range(30))
def test_neither_order_nor_division_nor_buckets_of_users_matter(seed):
    draw, rows = random.Random(seed), world(seed)
    expected = lined_up(rows, found(rows))
    draw.shuffle(rows)
    if draw.random() < 0.5:  # as the lake has them
        rows.sort(key=lambda row: (row["site_id"], row["timestamp"]))
    pieces = divided(draw, rows)

    def read(names):
        for piece in pieces:
            some = piece.select(names_of(piece, names))
            if draw.random() < 0.5:
                some = coded(some)
            yield some

    visits = find_visits(Rows(len(rows), read), bucket_rows=draw.choice([1, 5, 20, 1_000]))
    positions = np.arange(len(rows))
    draw.shuffle(positions)
    columns = visits.columns(positions)
    assert columns.schema == VISIT_SCHEMA
    assert lined_up([rows[n] for n in positions], columns.to_pylist()) == expected


def divided(draw, rows):
    cuts = sorted(draw.randrange(len(rows) + 1) for _ in range(draw.randrange(4)))
    return [
        table(rows[start:end]) for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)
    ]


def names_of(piece, names):
    return [name for name in names if name in piece.column_names]


def coded(some):
    names = {"site_id", "event_type", "path", "user_id", "bot"} & set(some.column_names)
    for name in names:
        column = some[name].dictionary_encode()
        some = some.set_column(some.column_names.index(name), name, column)
    return some


@pytest.mark.parametrize("seed", range(20))
def test_a_late_event_makes_the_visits_of_all_rows_together(seed):
    """What a settled date has of visits is replaced, not added to."""
    rows = world(seed)
    late = rows.pop(random.Random(seed).randrange(len(rows)))
    settled = add_visits(table(rows))
    both = pa.concat_tables([settled, table([late])], promote_options="default")
    again = add_visits(both).select(COLUMNS).to_pylist()
    assert lined_up([*rows, late], again) == lined_up([*rows, late], by_hand([*rows, late]))


def test_a_pause_of_exactly_thirty_minutes_does_not_end_a_visit():
    assert visits(view("10:00"), view("10:30"))[0] == [1, 1]
    assert visits(view("10:00"), view("10:30:00.000001"))[0] == [1, 2]


def test_a_visit_ends_at_midnight_in_utc_and_the_next_is_the_first_of_its_day():
    rows = [view("08:00"), view("23:59"), view("+00:00")]
    assert visits(*rows) == ([1, 2, 1], [(1, 0, 0, 0, "/")] * 3)


def test_midnight_is_that_of_utc_whatever_zone_the_column_names():
    rows = table([view("23:50"), view("23:59:59.999999"), view("+00:00"), view("+00:10")])
    zoned = rows["timestamp"].cast(pa.timestamp("us", "Asia/Kolkata"))
    rows = rows.set_column(rows.column_names.index("timestamp"), "timestamp", zoned)
    assert add_visits(rows)["visit_views"].to_pylist() == [2, None, 2, None]


def test_a_visit_is_of_one_user_on_one_site():
    rows = [view("10:00"), view("10:01", user_id="bob"), view("10:02", site_id="shop")]
    assert visits(*rows)[0] == [1, 1, 1]
    assert len(visits(*rows)[1]) == 3


def test_robots_and_events_without_a_user_belong_to_no_visit_and_join_none():
    rows = [view("10:00"), view("10:25", bot="ai"), click("10:26", user_id=None), view("10:50")]
    assert visits(*rows) == ([1, None, None, 2], [(1, 0, 0, 0, "/")] * 2)


def test_engagement_prolongs_a_visit_and_is_no_event():
    rows = [view("10:00"), engagement("10:25", 4_000), view("10:50", "/b"), engagement("11:00")]
    assert visits(*rows) == ([1, 1, 1, 1], [(2, 0, 3_600_000, 5_000, "/b")])


def test_engagement_before_the_first_event_begins_its_visit():
    rows = [engagement("10:00"), view("10:10", "/a")]
    assert visits(*rows) == ([1, 1], [(1, 0, 600_000, 1_000, "/a")])
    assert found(rows)[0]["visit_views"] is None


def test_engagement_alone_is_no_visit_and_takes_no_number():
    rows = [engagement("08:00"), view("10:00"), engagement("12:00"), view("14:00")]
    assert visits(*rows)[0] == [None, 1, None, 2]


def test_a_visit_without_a_page_view_is_told_at_its_first_event_and_has_no_exit():
    rows = [engagement("10:00"), click("10:01", path="/a"), click("10:02", path="/b")]
    assert visits(*rows) == ([1, 1, 1], [(0, 2, 120_000, 1_000, None)])
    assert found(rows)[1]["visit_events"] == 2


def test_a_click_before_the_first_page_view_does_not_take_its_place():
    rows = [click("10:00"), view("10:01", "/a"), view("10:02", "/b"), click("10:03", path="/c")]
    assert [row["visit_views"] for row in found(rows)] == [None, 2, None, None]
    assert visits(*rows)[1] == [(2, 2, 180_000, 0, "/b")]


def test_a_last_page_view_without_path_leaves_the_exit_open():
    assert visits(view("10:00", "/a"), view("10:01", None))[1] == [(2, 0, 60_000, 0, None)]


def test_at_equal_timestamps_what_was_received_first_is_first_then_event_id_then_path():
    early, late = DAY + TICK, DAY + 2 * TICK
    rows = [
        view("10:00", "/a", received_at=late, event_id="1"),
        view("10:00", "/d", received_at=early),
        view("10:00", "/c", received_at=early, event_id="2"),
        view("10:00", "/b", received_at=early, event_id="2"),
    ]
    for turn in range(4):
        turned = rows[turn:] + rows[:turn]
        [entry] = [n for n, each in enumerate(found(turned)) if each["visit_views"]]
        assert turned[entry]["path"] == "/b"
        assert visits(*turned)[1] == [(4, 0, 0, 0, "/a")]


def test_what_a_date_has_not_any_rows_of_has_no_visits():
    assert found([]) == []
    assert visits(view("10:00", bot="ai"), click("10:00", user_id=None)) == ([None, None], [])


def test_columns_that_came_later_may_be_missing():
    rows = table([view("10:00"), view("10:10")]).drop_columns(["bot", "engaged_ms", "referrer"])
    assert add_visits(rows)["visit_views"].to_pylist() == [2, None]


@pytest.mark.parametrize("seed", range(10))
def test_the_metrics_in_sql_are_those_of_the_visits_counted_by_hand(seed):
    rows = world(seed)
    columns = by_hand(rows)
    summaries = [each for each in columns if each["visit_views"] is not None]
    assert ask(rows, METRICS) == metrics_by_hand(summaries)
    assert ask(rows, SUMS)[:2] == [len(summaries), sum(s["visit_views"] > 0 for s in summaries)]


@pytest.mark.parametrize("seed", range(10))
def test_a_condition_on_rows_chooses_whole_visits(seed):
    rows = world(seed)
    columns = by_hand(rows)
    chosen = {
        visit_of(row, each)
        for row, each in zip(rows, columns, strict=True)
        if row["path"] == "/pricing" and each["visit"]
    }
    summaries = [
        each
        for row, each in zip(rows, columns, strict=True)
        if each["visit_views"] is not None and visit_of(row, each) in chosen
    ]
    query = visits_with("path = '/pricing'")
    assert ask(rows, METRICS, f"({query})") == metrics_by_hand(summaries)


def visit_of(row, columns):
    return row["site_id"], row["user_id"], row["timestamp"].date(), columns["visit"]


def metrics_by_hand(summaries):
    seen = [each for each in summaries if each["visit_views"]]
    bounced = [
        each
        for each in seen
        if (each["visit_views"], each["visit_events"]) == (1, 0)
        and each["visit_engaged_ms"] < BOUNCE_MS_MIN
    ]
    return [
        len(summaries),
        pytest.approx(sum(each["visit_views"] for each in summaries) / len(summaries)),
        pytest.approx(100 * len(bounced) / len(seen)),
        pytest.approx(sum(each["visit_ms"] for each in summaries) / len(summaries) / 1_000),
    ]


def ask(rows, expressions, relation="events"):
    with duckdb.connect(config={"threads": 1}) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.register("found", add_visits(table(rows)))
        database.execute("""CREATE VIEW events AS SELECT *, "timestamp"::DATE AS date FROM found""")
        query = f"SELECT {', '.join(expressions.values())} FROM {relation}"
        return list(database.sql(query).fetchall()[0])


def test_metrics_of_no_visits_are_null_and_not_an_error():
    assert ask([], METRICS) == [0, None, None, None]
