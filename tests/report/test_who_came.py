"""Robots are marked, kept and asked for; people are counted unless something else is said."""

import pytest

from tests.report.holding import Folder, asking, event

FIREFOX = {"browser": "Firefox", "country": "DE", "hostname": "www.example.com"}


@pytest.fixture(scope="module", params=["lake", "closed", "open"])
def report(request, tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("data"))
    folder.holds(
        event(path="/a", user_id="ann", **FIREFOX, utm_source="news"),
        event(path="/b", user_id="bob"),  # at whose agent nobody looked
        event(path="/a", user_id="d:1", bot="ai", browser="GPTBot"),
        event(path="/b", user_id="d:1", bot="ai", browser="GPTBot"),
        event(path="/b", user_id="d:2", bot="search", browser="Googlebot"),
        event(path="/x.pdf", user_id="d:3", bot="other", event_type="download"),
        where=request.param,
    )
    with asking(folder.path) as client:
        yield client


@pytest.mark.parametrize(
    "asked, views, users",
    [
        ("", 2, 2),
        ("&bots=exclude", 2, 2),
        ("&bots=include", 5, 4),
        ("&bots=only", 3, 2),
        ("&bot=ai", 2, 1),
        ("&bot=", 2, 2),
        ("&bots=exclude&bot=ai", 0, 0),
        ("&bots=only&event_type=", 4, 3),
    ],
)
def test_people_are_counted_unless_robots_are_asked_for(report, asked, views, users):
    told = report.get(f"/stats?site_id=blog{asked}").json()
    assert (told["total_views"], told["unique_users"]) == (views, users)
    series = report.get(f"/stats/timeseries?site_id=blog&interval=day{asked}").json()
    assert sum(row["views"] for row in series["rows"]) == views
    assert ("bots" in told) == ("bots=" in asked)


def test_a_wrong_word_for_robots_is_refused(report):
    assert report.get("/stats?site_id=blog&bots=some").json()["code"] == "bad_parameter"


@pytest.mark.parametrize(
    "by, rows",
    [
        ("bot", [("ai", 2), (None, 2), ("search", 1)]),
        ("browser", [("Firefox", 1), (None, 1)]),
        ("country", [("DE", 1), (None, 1)]),
        ("hostname", [("www.example.com", 1), (None, 1)]),
        ("utm_source", [("news", 1), (None, 1)]),
        ("browser&bots=only", [("GPTBot", 2), ("Googlebot", 1)]),
        ("path&bot=ai", [("/a", 1), ("/b", 1)]),
    ],
)
def test_who_came_is_a_breakdown(report, by, rows):
    told = report.get(f"/stats/breakdown?site_id=blog&by={by}").json()
    assert [(row["value"], row["views"]) for row in told["rows"]] == rows


def test_robots_are_told_by_class_and_name(report):
    told = report.get("/robots?site_id=blog&date=2025-11-12").json()
    assert [tuple(row.values())[:4] for row in told["rows"]] == [
        ("ai", "GPTBot", 2, 2),
        ("other", None, 1, 1),
        ("search", "Googlebot", 1, 1),
    ]
    assert told["total"] == 3
    assert told["rows"][0]["last"] == "2025-11-12T12:00:00.000000Z"
    of_ai = report.get("/robots?site_id=blog&bot=ai&limit=1").json()
    assert (of_ai["total"], of_ai["rows"][0]["name"]) == (1, "GPTBot")
    assert report.get("/robots?site_id=nobody").json()["rows"] == []


def test_an_export_has_robots_unless_they_are_excluded(report):
    rows = report.get("/export?site_id=blog").text.splitlines()
    people = report.get("/export?site_id=blog&bots=exclude").text.splitlines()
    assert (len(rows), len(people)) == (6, 2)
