"""What clients of the first Stats API ask: the requests of a real one, and what each word means."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.clients.stats_api import RECORDED
from tests.report import query_page
from tests.report.holding import Folder, asking, event, line

WEEK = {"site_id": "shop", "period": "custom", "date": "2025-11-10,2025-11-16"}
V2 = {"site_id": "shop", "date_range": ["2025-11-10", "2025-11-16"]}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("shop"))
    query_page.fill(folder)
    with asking(folder.path) as client:
        yield client


def results(client, name, **asked):
    answer = client.get(f"/api/v1/stats/{name}", params=WEEK | asked)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def test_what_a_real_client_asks_is_answered(shop):
    asked = [each.split(" ", 1) for each in RECORDED.read_text().splitlines()]
    answers = {url: shop.get(url, headers={"accept": accept}) for accept, url in asked}
    refused = {url: each.json()["code"] for url, each in answers.items() if each.is_error}
    assert list(refused.values()) == ["not_found", "bad_query"]  # /sites, and a city
    told = [each.json() for each in answers.values() if not each.is_error]
    assert told[0] == told[-1] == 0  # now
    assert [len(each["results"]) for each in told[1:-1]] == [4, 4, 3, 3, 7]


def v2(client, **asked):
    answer = client.post("/query", json=V2 | asked)
    return [[*row["dimensions"], *row["metrics"]] for row in answer.json()["results"]]


def test_it_says_what_the_second_edition_says(shop):
    metrics = ["visitors", "visits", "bounce_rate"]
    names = ",".join(metrics)
    [figures] = v2(shop, metrics=metrics)
    told = results(shop, "aggregate", metrics=names)
    assert told == {n: {"value": v} for n, v in zip(metrics, figures, strict=True)}
    rows = results(shop, "breakdown", property="visit:source", metrics=names, limit=2, page=2)
    assert [list(row.values()) for row in rows] == v2(
        shop, metrics=metrics, dimensions=["visit:source"]
    )[2:]
    days = results(shop, "timeseries", metrics=names)
    assert [list(row.values()) for row in days] == v2(
        shop, metrics=metrics, dimensions=["time:day"]
    )
    compared = results(shop, "aggregate", compare="previous_period")["visitors"]
    assert compared.keys() == {"value", "change"}


FILTERS = {
    "event:page==/pricing": ["is", "event:page", ["/pricing"]],
    "event:page==/|/pricing": ["is", "event:page", ["/", "/pricing"]],
    "visit:device!=mobile": ["is_not", "visit:device", ["mobile"]],
    "event:page==/docs/*": ["contains", "event:page", ["/docs/"]],
    "event:page!=/docs/*": ["contains_not", "event:page", ["/docs/"]],
    "event:page~docs": ["contains", "event:page", ["docs"]],
    r"event:page==/\|x": ["is", "event:page", ["/|x"]],
}


def test_filters_mean_what_they_say(shop):
    for text, means in FILTERS.items():
        told = results(shop, "aggregate", filters=text)["visitors"]["value"]
        assert [[told]] == v2(shop, metrics=["visitors"], filters=[means]), text
    both = "event:page==/pricing;visit:device==mobile"
    told = results(shop, "aggregate", filters=both)["visitors"]["value"]
    means = [["is", "event:page", ["/pricing"]], ["is", "visit:device", ["mobile"]]]
    assert [[told]] == v2(shop, metrics=["visitors"], filters=means)


def test_periods_end_on_the_date(shop):
    def dates(**asked):
        rows = results(shop, "timeseries", **{"date": "2025-11-16"} | asked)
        return len(rows), rows[0]["date"], rows[-1]["date"]

    assert dates(period="7d") == (7, "2025-11-10", "2025-11-16")
    assert dates(period="30d") == (30, "2025-10-18", "2025-11-16")
    assert dates(period="month") == (30, "2025-11-01", "2025-11-30")
    assert dates(period="6mo") == (6, "2025-06-01", "2025-11-01")
    assert dates(period="day") == (24, "2025-11-16T00:00:00+00:00", "2025-11-16T23:00:00+00:00")
    for wrong in ({"period": "day", "date": "x"}, {"filters": "page"}, {"period": "4d"}):
        answer = shop.get("/api/v1/stats/aggregate", params=WEEK | wrong)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")


def test_who_is_there_now_has_seen_a_page_within_five_minutes(tmp_path):
    now = datetime.now(UTC)
    folder = Folder(tmp_path)
    moments = [timedelta(seconds=10), timedelta(minutes=4), timedelta(minutes=6)]
    events = [event(now - ago, user_id=f"u{n}") for n, ago in enumerate(moments)]
    folder.segment(map(line, [*events, event(now, event_type="click", user_id="c")]))
    with asking(tmp_path) as client:
        assert client.get("/api/v1/stats/realtime/visitors?site_id=blog").text == "2"
