"""POST /funnel, /retention and /journeys: what they mean, as answers, refusals and bounds."""

import csv
import io
import json

import pytest

from ingest.sites.goals import Funnel, Goal
from report.terms.query import funnel
from report.terms.query.selected import Limits, Named
from tests.report.holding import Folder, asking, event

DATES = {"date_range": ["2025-11-10", "2025-11-16"]}
BLOG = {"site_id": "blog"} | DATES
A, B = (["is", "event:page", [page]] for page in ("/a", "/b"))
ORDER = {"name": "Order", "event": "order"}


def at(time, day=12):
    return f"2025-11-{day}T{time}+00:00"


@pytest.fixture(scope="module")
def blog(tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("blog"))
    ann, bob = {"user_id": "ann", "country": "DE"}, {"user_id": "bob", "country": "EE"}
    folder.holds(
        event(at("10:00:00"), path="/a", **ann),
        event(at("10:00:10"), path="/a", **ann),
        event(at("10:00:20"), path="/x", **ann),
        event(at("10:00:30"), path="/b", **ann),
        event(at("10:00:40"), path="/b", event_type="order", **ann),
        event(at("11:00:00", 14), path="/b", **ann),
        event(at("12:00:00"), path="/b", **bob, event_id="1"),
        event(at("12:00:00"), path="/a", **bob, event_id="2"),
        event(at("12:00:00"), path="/a", user_id="bot", bot="ai"),
        event(at("12:00:00"), path="/a"),
        event(at("10:00:00"), path="/a", site_id="shop", **ann),
        event(at("10:00:00"), path="/a", site_id="daily", user_id="d:1", country="DE"),
        event(at("10:00:00"), path="/a", site_id="daily", user_id="eve", country="EE"),
    )
    with asking(folder.path) as client:
        yield client


def told(client, path, **asked):
    answer = client.post(path, json=BLOG | asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def counts(client, *steps, **asked):
    found = told(client, "/funnel", steps=steps, **asked)["results"]
    return {tuple(row["dimensions"]): [step["count"] for step in row["steps"]] for row in found}


def test_a_step_follows_the_one_before_as_the_order_says(blog):
    steps = A, B, "Order"
    of = {"goals": [ORDER]}
    assert counts(blog, *steps, **of) == {(): [2, 1, 1]}  # bob's /a is later, by its event_id
    assert counts(blog, *steps, **of, order="strict") == {(): [2, 0, 0]}
    views = {"filters": [["is_not", "event:page", ["/x"]]]}
    assert counts(blog, *steps, **of, **views, order="strict") == {(): [2, 1, 1]}
    assert counts(blog, *steps, **of, order="any") == {(): [2, 2, 1]}
    assert counts(blog, *steps, **of, unit="visit", order="any") == {(): [3, 2, 1]}


def test_the_window_ends_with_its_last_moment(blog):
    seconds = {(30, "sequential"): 1, (29, "sequential"): 1, (19, "sequential"): 0}
    seconds |= {(20, "any"): 2, (9, "any"): 1}  # bob's two are at the same time
    for (window_s, order), count in seconds.items():
        [found] = counts(blog, A, B, window_s=window_s, order=order).values()
        assert found[1] == count, (window_s, order)
    assert counts(blog, A, "Order", window_s=40, goals=[ORDER]) == {(): [2, 1]}


def test_of_attempts_the_furthest_counts_and_of_those_the_earliest(blog):
    [row] = told(blog, "/funnel", steps=[A, B])["results"]
    assert row["steps"] == [
        {
            "step": A,
            "count": 2,
            "rate_to_previous": None,
            "rate_to_first": 100.0,
            "median_s": None,
        },
        {"step": B, "count": 1, "rate_to_previous": 50.0, "rate_to_first": 50.0, "median_s": 30.0},
    ]
    [row] = told(blog, "/funnel", steps=[A, B], window_s=25)["results"]
    assert row["steps"][1]["median_s"] == 20.0
    [row] = told(blog, "/funnel", steps=[A, B], filters=[["is", "event:page", ["-"]]])["results"]
    assert [step["count"] for step in row["steps"]] == [0, 0]
    assert [step["rate_to_first"] for step in row["steps"]] == [None, None]


def test_a_funnel_is_split_by_the_event_that_it_begins_with(blog):
    split = {"dimensions": ["visit:country"]}
    assert counts(blog, A, B, **split) == {("DE",): [1, 1], ("EE",): [1, 0]}
    answer = told(blog, "/funnel", steps=[A, B], **split, pagination={"limit": 1, "offset": 1})
    assert [row["dimensions"] for row in answer["results"]] == [["EE"]]
    assert answer["meta"] == {"total_rows": 2}
    assert counts(blog, A, B, dimensions=["visit:country"], order="any") == {
        ("DE",): [1, 1],
        ("EE",): [1, 1],
    }


def test_a_funnel_of_the_site_is_asked_for_by_its_name():
    goals = (Goal(name="A", page="/a"), Goal(name="B", page="/b"))
    buy = Funnel(name="Buy", steps=("A", "B"), window_s=60, unit="visit", order="strict")
    owner = Named("UTC", goals, (), (buy,))

    def read(**asked):
        body = funnel.FunnelBody(**BLOG | asked)
        return funnel.read(body, Limits(1, 100, 8, 100, 100, 100), 10**15, owner)

    asked = read(funnel="Buy")
    assert asked.steps == ("A", "B") and asked.goals == goals
    assert (asked.window_s, asked.unit, asked.order) == (60, "visit", "strict")
    assert read(funnel="Buy", window_s=5).window_s == 5
    with pytest.raises(ValueError, match="there is no funnel 'Sell'; there are Buy"):
        read(funnel="Sell")


def test_visitors_are_of_one_day_or_of_one_site_where_the_answer_says_so(blog):
    daily = told(blog, "/funnel", site_id="daily", steps=[A, B])
    assert daily["meta"]["metric_warnings"]["count"]["code"] == "sum_of_days"
    one_day = {"site_id": "daily", "date_range": ["2025-11-12", "2025-11-12"]}
    assert "metric_warnings" not in told(blog, "/funnel", **one_day, steps=[A, B])["meta"]
    visits = told(blog, "/funnel", site_id="daily", unit="visit", steps=[A, B])
    assert "metric_warnings" not in visits["meta"]
    both = {"site_id": ["blog", "shop"]}
    assert counts(blog, A, B, **both) == {(): [3, 1]}
    for path, name, asked in (
        ("/funnel", "count", {"steps": [A, B]}),
        ("/retention", "visitors", {}),
    ):
        warned = told(blog, path, **both, **asked)["meta"]["metric_warnings"]
        assert warned[name]["code"] == "sum_of_sites"
    assert told(blog, "/journeys", **both)["meta"]["visits"] == 4


def test_nobody_is_seen_to_come_back_where_identities_are_made_for_one_day(blog):
    answer = blog.post("/retention", json=BLOG | {"site_id": "daily"})
    assert (answer.status_code, answer.json()["code"]) == (422, "daily_identities")
    assert "daily" in answer.json()["detail"]
    given = [["is", "visit:country", ["EE"]]]
    [row] = told(blog, "/retention", site_id="daily", filters=given)["results"]
    assert (row["cohort"], row["visitors"]) == ("2025-11-10", 1)
    several = blog.post("/retention", json=BLOG | {"site_id": ["blog", "daily"]})
    assert several.json()["code"] == "daily_identities"


def test_who_is_seen_in_a_later_period_came_back(blog):
    dates = {"date_range": ["2025-11-11", "2025-11-14"]}
    answer = told(blog, "/retention", interval="day", **dates)
    assert answer["results"] == [
        {"cohort": "2025-11-11", "visitors": 0, "returned": [0] * 3, "rates": [None] * 3},
        {"cohort": "2025-11-12", "visitors": 2, "returned": [0, 1], "rates": [0.0, 50.0]},
        {"cohort": "2025-11-13", "visitors": 0, "returned": [0], "rates": [None]},
        {"cohort": "2025-11-14", "visitors": 0, "returned": [], "rates": []},
    ]
    assert answer["meta"] == {"partial": []}
    cut = told(blog, "/retention", interval="day", periods=1, **dates)["results"]
    assert [len(row["returned"]) for row in cut] == [1, 1, 1, 0]
    robots = told(blog, "/retention", bots="include", **DATES)["results"]
    assert [row["visitors"] for row in robots] == [3]
    weeks = {"date_range": ["2025-11-04", "2025-11-23"]}
    assert told(blog, "/retention", **weeks)["meta"] == {"partial": ["2025-11-03"]}
    instants = {"date_range": [at("00:00:00", 10), at("00:00:00", 16)]}
    assert told(blog, "/retention", **instants)["meta"] == {"partial": ["2025-11-10"]}


def test_journeys_are_the_ways_of_visits(blog):
    def ways(**asked):
        rows = told(blog, "/journeys", **asked)["results"]
        return {" ".join(row["journey"]): row["visits"] for row in rows}

    assert ways() == {"/a /x /b": 1, "/b": 1, "/b /a": 1}
    assert ways(**{"from": "/x"}) == {"/x /b": 1}
    assert ways(**{"from": "/*", "steps": 2}) == {"/a /x": 1, "/b": 1, "/b /a": 1}
    assert ways(to="/b", steps=2) == {"/x /b": 1, "/b": 2}
    order = {"goals": [ORDER], "to": ["is", "event:goal", ["Order"]]}
    assert ways(**order) == {"/a /x /b": 1}
    assert ways(**order, dimensions=["event:name"]) == {"page_view order": 1}
    answer = told(blog, "/journeys", pagination={"limit": 1})
    assert answer["results"] == [{"journey": ["/a", "/x", "/b"], "visits": 1, "rate": 33.33}]
    assert answer["meta"] == {"visits": 3, "others": {"journeys": 2, "visits": 2}}


@pytest.mark.parametrize(
    ("path", "asked", "head"),
    [
        ("/funnel", {"steps": [A, B], "dimensions": ["visit:country"]}, "visit:country,step,count"),
        ("/retention", {"interval": "month"}, "cohort,period,visitors,rate"),
        ("/journeys", {}, "journey,visits,rate"),
    ],
)
def test_each_is_a_table_and_can_be_kept_and_says_how_it_was_understood(blog, path, asked, head):
    answer = blog.post(path, json=BLOG | asked, headers={"accept": "text/csv"})
    assert answer.text.startswith(head)
    assert len(list(csv.reader(io.StringIO(answer.text)))) > 1
    question = {"query": json.dumps(BLOG | asked)}
    kept = blog.get(path, params=question)
    assert kept.json() == told(blog, f"/api/v2{path}", **asked)
    again = {"if-none-match": kept.headers["etag"]}
    assert (
        blog.get(path, params={"query": json.dumps(BLOG | asked)}, headers=again).status_code == 304
    )
    assert kept.json()["query"]["date_range"][0] == "2025-11-10T00:00:00+00:00"
    everything = blog.post(path, json={"site_id": "blog"} | asked | {"date_range": "all"})
    assert everything.status_code == 200, everything.text
    assert everything.json()["query"]["date_range"][0] == "2025-11-12T00:00:00+00:00"
    assert len(told(blog, path, **asked | {"site_id": "nobody"})["results"]) <= 1


REFUSED = [
    ("/funnel", {}, "$", "either steps"),
    ("/funnel", {"steps": [A]}, "$.steps", ">= 2"),
    ("/funnel", {"steps": [A] * 11}, "$.steps", "<= 10"),
    ("/funnel", {"steps": [A, "Order"]}, "$.steps[1]", "give it in `goals`"),
    ("/funnel", {"steps": [A, "Ordr"], "goals": [ORDER]}, "$.steps[1]", "there are Order"),
    ("/funnel", {"steps": [A, ["is", "event:pag", ["/"]]]}, "$.steps[1][1]", "event:page"),
    ("/funnel", {"steps": [A, ["matches", "event:page", ["("]]]}, "$.steps[1][2][0]", "RE2"),
    ("/funnel", {"steps": [A, B], "funnel": "Buy"}, "$", "either steps"),
    ("/funnel", {"funnel": "Buy"}, "$.funnel", "give its steps"),
    ("/funnel", {"steps": [A, B], "window_s": 0}, "$.window_s", ">= 1"),
    ("/funnel", {"steps": [A, B], "window_s": 10**8}, "$.window_s", "<= 31622400"),
    ("/funnel", {"steps": [A, B], "order": "loose"}, "$.order", "loose"),
    ("/funnel", {"steps": [A, B], "dimensions": ["event:goal"]}, "$.dimensions[0]", "another"),
    ("/funnel", {"steps": [A, B], "dimensions": ["event:page", "time"]}, "$.dimensions", "<= 1"),
    ("/retention", {"interval": "hour"}, "$.interval", "hour"),
    ("/retention", {"interval": "day", "date_range": "365d"}, "$.date_range", "120 days"),
    (
        "/retention",
        {"interval": "week", "date_range": ["1980-01-01", "2025-11-10"]},
        "weeks",
        "120",
    ),
    ("/retention", {"filters": [["is", "event:pag", [""]]]}, "$.filters[0][1]", "event:page"),
    ("/journeys", {"from": "/a", "to": "/b"}, "$.to", "one of from and to"),
    ("/journeys", {"from": ["is", "event:pag", ["/"]]}, "$.from[1]", "event:page"),
    ("/journeys", {"to": ["matches", "event:page", ["("]]}, "$.to[2][0]", "RE2"),
    ("/journeys", {"dimensions": ["visit:source"]}, "$.dimensions[0]", "event:page or event:name"),
    ("/journeys", {"steps": 11}, "$.steps", "<= 10"),
    ("/journeys", {"pagination": {"limit": 10_001}}, "$.pagination.limit", "10,000 rows"),
]


@pytest.mark.parametrize(("path", "asked", "where", "what"), REFUSED)
def test_what_cannot_be_asked_is_refused_by_name(blog, path, asked, where, what):
    answer = blog.post(path, json=BLOG | asked)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_query"), answer.text
    assert where in answer.json()["detail"]
    assert what in answer.json()["detail"]


def test_a_question_has_bounds(tmp_path):
    Folder(tmp_path)
    beyond = {
        "9 terms": ("/funnel", {"steps": [A, ["is", "event:page", list("abcdefg")]]}),
        "5 days": ("/retention", {"interval": "day"}),
        "3 deep": ("/journeys", {"to": ["not", ["not", ["not", A]]]}),
    }
    bounds = {"query_terms_max": 9, "query_periods_max": 5, "query_nesting_max": 3}
    with asking(tmp_path, **bounds) as client:
        for most, (path, asked) in beyond.items():
            answer = client.post(path, json=BLOG | asked)
            assert (answer.status_code, most in answer.text) == (400, True), answer.text


def test_no_text_of_a_request_is_more_than_a_value(tmp_path):
    folder = Folder(tmp_path)
    text = "'; $given_0 {value} \" \\ --"
    folder.holds(event(at("10:00:00"), path=text, user_id="ann", event_type="x"))
    folder.holds(event(at("10:00:01"), path=text, user_id="ann"))
    with asking(tmp_path) as client:
        step = ["is", "event:page", [text]]
        split = {"dimensions": [f"event:props:{text}"]}
        assert counts(client, step, step, **split) == {("(not set)",): [1, 1]}
        assert told(client, "/journeys", **{"from": text})["results"][0]["journey"] == [text]
