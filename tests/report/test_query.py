"""POST /query: its page, the published examples of the API that it speaks, refusals and bounds."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from report.questions.statement import needs_visits
from report.terms.query.body import Body
from report.terms.query.request import read
from report.terms.query.selected import Limits, Named
from tests.report import query_page
from tests.report.holding import Folder, asking, event

WEEK = {"site_id": "shop", "date_range": ["2025-11-10", "2025-11-16"]}
VISITORS = WEEK | {"metrics": ["visitors"]}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("shop"))
    query_page.fill(folder)
    with asking(folder.path) as client:
        yield client


def told(client, **asked):
    answer = client.post("/query", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def rows(client, **asked):
    found = told(client, **VISITORS | asked)["results"]
    return [(*row["dimensions"], *row["metrics"]) for row in found]


def test_the_page_says_what_there_is_and_what_is_answered():
    page = query_page.PAGE.read_text()
    assert query_page.written(page) == page
    paths = [path for path, _ in query_page.QUESTION.findall(page)]
    assert paths == [""] * 10 + ["/funnel", "/retention", "/journeys"]


# As the documentation of Plausible's Stats API v2 has them, each with what it means here
PUBLISHED = [
    ({"metrics": ["visitors", "events"], "date_range": "7d"}, 2),
    ({"metrics": ["visitors"], "date_range": ["2025-11-03", "2025-11-15"]}, 1),
    (
        {
            "metrics": ["visitors", "pageviews", "bounce_rate"],
            "date_range": "7d",
            "filters": [["is_not", "visit:country_name", [""]]],
            "dimensions": ["visit:country_name"],
        },
        3,
    ),
    (
        {
            "metrics": ["visitors", "events", "pageviews"],
            "date_range": "7d",
            "dimensions": ["visit:utm_medium", "visit:utm_source"],
        },
        3,
    ),
    (
        {
            "metrics": ["visitors"],
            "date_range": "7d",
            "filters": [
                ["contains", "event:page", ["/docs", "/pricing"]],
                ["is", "visit:country_name", ["Estonia", "United States of America"]],
            ],
        },
        1,
    ),
    (
        {
            "metrics": ["visitors"],
            "date_range": "7d",
            "filters": [["contains", "event:page", ["DOCS"], {"case_sensitive": False}]],
        },
        1,
    ),
    (
        {
            "metrics": ["visitors", "events"],
            "date_range": "7d",
            "filters": [["is_not", "visit:device", ["desktop"]]],
            "dimensions": ["time:day"],
        },
        2,
    ),
    (
        {
            "metrics": ["visitors"],
            "date_range": "day",
            "dimensions": ["time:hour"],
            "include": {"time_labels": True},
        },
        1,
    ),
    (
        {
            "metrics": ["visitors"],
            "date_range": "7d",
            "dimensions": ["time:day", "event:props:plan"],
            "order_by": [["time:day", "asc"], ["event:props:plan", "desc"]],
        },
        1,
    ),
    (
        {
            "metrics": ["visitors", "events", "pageviews"],
            "date_range": "7d",
            "dimensions": ["visit:utm_medium", "visit:utm_source"],
            "include": {"total_rows": True},
            "pagination": {"limit": 3, "offset": 1},
        },
        3,
    ),
    (
        {
            "metrics": ["visitors"],
            "date_range": "all",
            "dimensions": ["visit:source"],
            "include": {"imports": True},
        },
        1,
    ),
    (
        {
            "metrics": ["visitors"],
            "date_range": "all",
            "goals": [{"name": "Signup", "event": "signup"}],
            "filters": [
                ["is", "event:goal", ["Signup"]],
                ["has_done", ["is", "event:page", ["/pricing"]]],
            ],
        },
        1,
    ),
]


@pytest.mark.parametrize("path", ["/query", "/api/v2/query"])
def test_the_published_examples_run_and_have_the_shape_that_clients_know(shop, path):
    for asked, count in PUBLISHED:
        answer = shop.post(path, json={"site_id": "shop"} | asked)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told.keys() == {"results", "meta", "query"}
        for row in told["results"]:
            assert row.keys() == {"dimensions", "metrics"}
            assert len(row["metrics"]) == len(asked["metrics"]) == count or count == 1
            assert all(isinstance(each, str) for each in row["dimensions"])
        assert told["query"]["site_id"] == "shop"
        assert told["query"]["metrics"] == asked["metrics"]
        assert [len(each) for each in told["query"]["date_range"]] == [25, 25]


def test_what_the_published_examples_mean(shop):
    everybody = rows(shop)[0][0]
    docs = rows(shop, filters=[["contains", "event:page", ["DOCS"], {"case_sensitive": False}]])
    assert 0 < docs[0][0] < everybody
    assert rows(shop, filters=[["contains", "event:page", ["DOCS"]]]) == [(0,)]
    by_country = rows(shop, dimensions=["visit:country_name"])
    two = rows(
        shop, filters=[["is", "visit:country_name", ["Estonia", "United States of America"]]]
    )
    named = dict(by_country)
    assert two[0][0] <= named["Estonia"] + named["United States of America"] < everybody
    signed = rows(shop, filters=[["is", "event:name", ["signup"]]])
    assert signed == rows(
        shop,
        filters=[
            ["is", "event:name", ["signup"]],
            ["has_done", ["is", "event:page", ["/pricing"]]],
        ],
    )  # signing up is done on /pricing alone
    assert signed[0][0] < rows(shop, filters=[["is", "event:page", ["/pricing"]]])[0][0]


def test_rows_come_in_the_order_and_on_the_page_that_is_asked_for(shop):
    by_day = rows(shop, dimensions=["time:day"])
    assert by_day == sorted(by_day)
    by_page = rows(shop, dimensions=["event:page"])
    assert [row[1] for row in by_page] == sorted((row[1] for row in by_page), reverse=True)
    named = rows(shop, dimensions=["event:page"], order_by=[["event:page", "asc"]])
    assert [row[0] for row in named] == ["/", "/docs/start", "/pricing", "(not set)"]
    page = {"pagination": {"limit": 2, "offset": 1}, "include": {"total_rows": True}}
    answer = told(shop, **VISITORS, dimensions=["event:page"], **page)
    assert [(*row["dimensions"], *row["metrics"]) for row in answer["results"]] == by_page[1:3]
    assert answer["meta"]["total_rows"] == 4


def test_sites_are_added_up_and_it_is_said_that_visitors_are(shop):
    robots = {"dimensions": ["event:page"], "bots": "only", "metrics": ["pageviews"]}
    each = [dict(rows(shop, **robots, site_id=site)) for site in ("shop", "blog")]
    both = dict(rows(shop, **robots, site_id=["shop", "blog"]))
    assert both == {page: each[0].get(page, 0) + each[1].get(page, 0) for page in each[0] | each[1]}
    answer = told(shop, **VISITORS | {"site_id": ["shop", "nobody"]})
    assert answer["results"] == told(shop, **VISITORS)["results"]
    assert answer["meta"]["metric_warnings"]["visitors"]["code"] == "sum_of_sites"


def test_an_answer_is_a_table_and_can_be_kept(shop):
    question = VISITORS | {"dimensions": ["visit:source"]}
    answer = shop.post("/query", json=question, headers={"accept": "text/csv"})
    table = list(csv.reader(io.StringIO(answer.text)))
    assert table[0] == ["visit:source", "visitors"]
    assert [(name, int(count)) for name, count in table[1:]] == rows(shop, **question)
    url = "/query?query=" + json.dumps(question).replace("&", "%26")
    kept = shop.get(url)
    assert kept.json() == told(shop, **question)
    again = {"if-none-match": kept.headers["etag"]}
    assert shop.get(url, headers=again).status_code == 304
    refused = shop.post("/query", json=question, headers=again)
    assert (refused.status_code, refused.json()["code"]) == (412, "unchanged")
    other = shop.get(url.replace("visitors", "visits"), headers=again)
    assert (other.status_code, other.headers["etag"] != kept.headers["etag"]) == (200, True)


def test_an_event_changes_the_answer_and_its_tag(tmp_path):
    folder = Folder(tmp_path)
    folder.holds(event("2025-11-12T10:00:00+00:00", user_id="ann"))
    asked = {"site_id": "blog", "date_range": "all", "metrics": ["visits", "pageviews"]}
    with asking(tmp_path) as client:
        before = client.post("/query", json=asked)
        folder.holds(event("2025-11-12T11:00:00+00:00", user_id="ann"), where="open")
        after = client.post("/query", json=asked)
        assert before.json()["results"][0]["metrics"] == [1, 1]
        assert after.json()["results"][0]["metrics"] == [2, 2]
        assert before.headers["etag"] != after.headers["etag"]


REFUSED = [
    ({"metrics": ["visitor"]}, "$.metrics[0]", "there are visitors"),
    ({"metrics": ["visitors", "visitors"]}, "$.metrics[1]", "twice"),
    ({"metrics": []}, "$.metrics", ">= 1"),
    ({"dimensions": ["visit:sourc"]}, "$.dimensions[0]", "visit:source"),
    ({"dimensions": ["visit:city"]}, "$.dimensions[0]", "take visit:country"),
    ({"dimensions": ["time:day", "time:hour"]}, "$.dimensions[1]", "one time"),
    ({"metrics": ["bounce_rate"], "dimensions": ["event:props:x"]}, "$.metrics[0]", "bounce_rate"),
    ({"metrics": ["exit_rate"]}, "$.metrics[0]", "needs event:page"),
    ({"metrics": ["percentage"]}, "$.metrics[0]", "needs dimensions"),
    ({"metrics": ["conversion_rate"]}, "$.metrics[0]", "needs event:goal"),
    ({"metrics": ["total_revenue"]}, "$.metrics[0]", "sum:props.KEY"),
    ({"metrics": ["time_on_page"], "dimensions": ["event:name"]}, "$.metrics[0]", "of pages"),
    ({"filters": [["is", "event:page"]]}, "$.filters[0][2]", "list of values"),
    ({"filters": [["like", "event:page", ["/"]]]}, "$.filters[0][0]", "contains"),
    ({"filters": [["and", [["is", "event:pag", ["/"]]]]]}, "$.filters[0][1][0][1]", "event:page"),
    ({"filters": [["gt", "visit:device", [1]]]}, "$.filters[0][0]", "event:props:KEY"),
    ({"filters": [["gt", "event:props:x", ["1"]]]}, "$.filters[0][2][0]", "a number"),
    ({"filters": [["is", "time:day", ["2025-11-11"]]]}, "$.filters[0][1]", "date_range"),
    ({"filters": [["is", "event:goal", ["Signup"]]]}, "$.filters[0][2][0]", "give it in `goals`"),
    ({"filters": [["is", "segment", ["x"]]]}, "$.filters[0][2][0]", "no segment"),
    ({"filters": [["matches", "event:page", ["("]]]}, "$.filters[0][2][0]", "missing )"),
    ({"filters": [["not", ["has_done", ["has_done", ["set", "event:page"]]]]]}, "within", "[1][1]"),
    ({"order_by": [["visits", "asc"]]}, "$.order_by[0][0]", "there are visitors"),
    ({"date_range": "yesterday"}, "$.date_range", "there are day"),
    ({"date_range": ["2025-11-10", "2025-11-09"]}, "$.date_range", "after the last"),
    ({"date_range": ["2025-11-10"]}, "$.date_range", "length >= 2"),
    ({"date_range": ["2025-11-10T10:00:00", "2025-11-10T11:00:00"]}, "$.date_range[0]", "+01:00"),
    ({"date_range": ["0001-01-01", "2025-11-10"]}, "$.date_range", "dates are from"),
    ({"tz": "Berlin"}, "$.tz", "Europe/Berlin"),
    ({"include": {"time_labels": True}}, "$.include.time_labels", "time dimension"),
    (
        {"date_range": "all", "include": {"comparisons": {"mode": "previous_period"}}},
        "$.include.comparisons",
        "take dates",
    ),
    (
        {"dimensions": ["time:minute"], "include": {"time_labels": True}},
        "$.dimensions",
        "10,000 buckets",
    ),
    ({"metric": ["visitors"]}, "unknown field", "metric"),
    ({"pagination": {"limit": 0}}, "$.pagination.limit", ">= 1"),
]


@pytest.mark.parametrize(("asked", "where", "what"), REFUSED)
def test_what_cannot_be_asked_is_refused_by_name(shop, asked, where, what):
    answer = shop.post("/query", json=VISITORS | asked)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_query"), answer.text
    assert where in answer.json()["detail"]
    assert what in answer.json()["detail"]


def test_a_question_has_bounds(tmp_path):
    Folder(tmp_path)
    deep = ["is", "event:page", ["/"]]
    for _ in range(3):
        deep = ["not", deep]
    beyond = {
        "2 sites": {"site_id": ["a", "b", "c"]},
        "9 terms": {"filters": [["is", "event:page", list("abcdefg")]]},
        "3 deep": {"filters": [deep]},
        "5 characters": {"filters": [["matches", "event:page", ["abcdef"]]]},
        "7 rows": {"pagination": {"limit": 8}},
    }
    bounds = {"sites": 2, "terms": 9, "nesting": 3, "pattern_characters": 5, "rows": 7}
    settings = {f"query_{name}_max": value for name, value in bounds.items()}
    with asking(tmp_path, **settings) as client:
        for most, asked in beyond.items():
            answer = client.post("/query", json=VISITORS | asked)
            assert (answer.status_code, most in answer.text) == (400, True), answer.text
        assert client.post("/query", json=VISITORS).status_code == 200
        for body, code in (
            (b"{", "malformed_json"),
            (b'{"filters":' + b"[" * 30_000, "malformed_json"),
            (b"\xff", "malformed_json"),
            (b"[]", "bad_query"),
            (b" " * 100_000, "too_large"),
        ):
            assert client.post("/query", content=body).json()["code"] == code
        assert client.get("/query").json()["code"] == "bad_parameter"
        assert client.post("/query?tz=UTC", json=VISITORS).json()["code"] == "bad_parameter"


NAUGHTY = ["'; DROP TABLE sources; --", "$given_0", "{value}", '"', "\\", "a/b~c", "%", "\u0000x"]


def test_no_text_of_a_request_is_more_than_a_value(tmp_path):
    folder = Folder(tmp_path)
    at = datetime(2025, 11, 12, tzinfo=UTC)
    folder.holds(
        *(
            event(at + timedelta(hours=n), user_id="ann", event_type="x", props={text: text})
            for n, text in enumerate(NAUGHTY)
        )
    )
    asked = {"site_id": "blog", "date_range": "all"}
    with asking(tmp_path) as client:
        for text in NAUGHTY:
            goal = {"name": text, "event": "x", "props": {text: text}, "revenue": text}
            answer = told(
                client,
                **asked,
                metrics=["events", "total_revenue", f"sum:props.{text}"],
                dimensions=[f"event:props:{text}", "event:goal"],
                filters=[
                    ["is", f"event:props:{text}", [text]],
                    ["contains", "event:goal", [text]],
                    ["contains_not", "event:page", [text]],
                ],
                goals=[goal],
            )
            assert answer["results"] == [{"dimensions": [text, text], "metrics": [1, None, None]}]


def test_no_visits_are_made_for_a_count_of_views():
    limits = Limits(1, 100, 8, 100, 100, 100)

    def needs(metrics, **asked):
        body = Body(site_id="x", date_range="day", metrics=metrics, **asked)
        return needs_visits(read(body, limits, 10**15, Named()))

    assert not needs(["visitors", "pageviews", "events", "sum:props.x"])
    assert not needs(["visitors", "percentage"], dimensions=["event:page", "visit:country"])
    assert not needs(["visitors"], filters=[["is", "visit:device", ["mobile"]]])
    assert needs(["visits"])
    assert needs(["visitors"], dimensions=["visit:source"])
    assert needs(["visitors"], filters=[["has_done", ["is", "event:page", ["/"]]]])


def test_a_question_that_takes_too_long_is_ended_and_leaves_nothing(tmp_path):
    folder = Folder(tmp_path)
    at = datetime(2025, 11, 12, tzinfo=UTC)
    folder.holds(
        *(
            event(at, user_id=f"u{n}", path=f"/{n}", referrer=f"https://{n}.example/")
            for n in range(60_000)
        )
    )
    heavy = {
        "site_id": "blog",
        "date_range": "all",
        "metrics": ["visitors", "visits", "percentage"],
        "dimensions": ["visit:source", "visit:channel", "event:page"],
    }
    with asking(tmp_path, query_s_max=0.4) as client:
        answer = client.post("/query", json=heavy)
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        small = {"site_id": "nobody", "date_range": "day", "metrics": ["visits"]}
        assert client.post("/query", json=small).json()["results"][0]["metrics"] == [0]
        runtime = client.app_state["runtime"]
        for cursor in runtime.pool._idle:
            left = "SELECT count(*) FROM duckdb_tables() WHERE temporary"
            assert cursor.execute(left).fetchall() == [(0,)]
