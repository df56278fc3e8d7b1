"""Every path of the report API: its answers, formats, errors and headers."""

import csv
import json
import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from urllib.parse import unquote

import msgspec
import pytest
from starlette.datastructures import Headers, QueryParams

from ingest.batch import to_lines
from ingest.dialects.dialect import Message
from ingest.dialects.native import read_events
from ingest.event import decode_line
from ingest.receipt import Receipt, to_line
from tests.processes import PROJECT
from tests.report.holding import NOW, Folder, asking, event, figures

API = (PROJECT / "docs" / "api.md").read_text()
UNTAGGED = re.search(r"Answers that depend on the clock \((.*?)\) have none", API)[1]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def client(folder):
    with asking(folder.path) as client:
        yield client


def test_the_plain_answer_has_exactly_five_keys_in_order(folder, client):
    folder.holds(event(path="/a", user_id="ann"), event(path="/a", user_id="bob"))
    told = client.get("/stats?site_id=blog&date=2025-11-12").text
    assert told == (
        '{"site_id":"blog","date":"2025-11-12","total_views":2,"unique_users":2,'
        '"top_paths":[{"path":"/a","views":2}]}'
    )


def test_an_unknown_site_has_zeros(client):
    assert figures(client, "/stats", site_id="nobody") == {
        "site_id": "nobody",
        "date": None,
        "total_views": 0,
        "unique_users": 0,
        "top_paths": [],
    }


def test_stats_repeats_what_was_given(client):
    given = {"from": "2025-11-01", "tz": "Asia/Kolkata", "referrer": "", "limit": 3}
    told = figures(client, "/stats", site_id="blog", **given)
    assert {name: told[name] for name in given} == given
    assert "to" not in told and "event_type" not in told


def test_the_ten_most_viewed_paths_are_told_ties_by_path(folder, client):
    folder.holds(*(event(path=f"/{n:02}") for n in range(12)), event(path="/11"))
    paths = [row["path"] for row in figures(client, "/stats", site_id="blog")["top_paths"]]
    assert paths == ["/11", *(f"/{n:02}" for n in range(9))]


def test_live_counts_the_last_five_minutes(folder, client):

    now = datetime.now(UTC)
    folder.holds(
        event(now - timedelta(minutes=6), user_id="ann"),
        event(now - timedelta(minutes=4), user_id="bob"),
        event(now + timedelta(minutes=1), user_id="cy"),
        where="open",
    )
    told = figures(client, "/stats/live", site_id="blog")
    assert (told["views"], told["users"]) == (1, 1)


def test_one_site_alone_can_be_asked_for_and_another_one_does_not_change_its_answer(folder, client):
    folder.holds(event(), event(), event(site_id="shop"), where="open")
    told = client.get("/sites?site_id=shop")
    assert [(row["site_id"], row["events"]) for row in told.json()["rows"]] == [("shop", 1)]
    assert told.json()["total"] == 1
    assert figures(client, "/sites", site_id="nobody")["rows"] == []
    folder.holds(event(), where="open")
    tag = told.headers["etag"]
    assert client.get("/sites?site_id=shop", headers={"if-none-match": tag}).status_code == 304


TABLES = ["/stats?", "/stats/timeseries?", "/stats/breakdown?by=path&", "/sites?", "/ledger?"]


@pytest.mark.parametrize("path", TABLES)
def test_a_table_is_csv_for_who_accepts_that(folder, client, path):
    folder.holds(event(path='/"a",b'))
    url = path if path in ("/sites?", "/ledger?") else path + "site_id=blog"
    told = client.get(url, headers={"accept": "text/csv"})
    assert told.headers["content-type"] == "text/csv; charset=utf-8"
    assert "Accept" in told.headers["vary"]
    rows = list(csv.DictReader(StringIO(told.text)))
    json = client.get(url).json()
    table = json.get("rows") or json.get("top_paths") or json.get("sites")
    assert rows == [{name: str(value) for name, value in row.items()} for row in table]


@pytest.mark.parametrize(
    "accept, media_type",
    [
        ("*/*", "application/json"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/json, text/csv;q=0.5", "application/json"),
        ("text/csv;q=0", "application/json"),
        ("text/csv;q=x", "application/json"),
        ("text/csv, */*", "text/csv; charset=utf-8"),
        ("text/csv;q=0.5, */*", "application/json"),
        ("application/*, text/csv;q=0.9", "application/json"),
        ("text/*", "application/json"),
    ],
)
def test_accept_chooses(client, accept, media_type):
    told = client.get("/sites", headers={"accept": accept})
    assert told.headers["content-type"] == media_type


# What a spreadsheet would take for a formula, in a field that a visitor's browser sends
FORMULAS = ['=HYPERLINK("http://x.example","Log in")', "+1", "-1", "@SUM(A1)", "＝1", "plain", "/="]


@pytest.mark.parametrize(
    "url", ["/stats?limit=9&", "/stats/breakdown?by=path&", "/export?format=csv&"]
)
def test_no_text_of_a_csv_is_a_formula(folder, client, url):
    folder.holds(*(event(path=path) for path in FORMULAS))
    told = client.get(f"{url}site_id=blog", headers={"accept": "text/csv"})
    rows = csv.DictReader(StringIO(told.text))
    name = "value" if "breakdown" in url else "path"
    quoted = {path if path in ("plain", "/=") else "'" + path for path in FORMULAS}
    assert {row[name] for row in rows} == quoted


def test_other_formats_tell_every_text_as_it_is(folder, client):
    folder.holds(*(event(path=path) for path in FORMULAS))
    rows = figures(client, "/stats/breakdown", site_id="blog", by="path")["rows"]
    assert {row["value"] for row in rows} == set(FORMULAS)
    lines = client.get("/export?site_id=blog").content.splitlines()
    assert {msgspec.json.decode(each)["path"] for each in lines} == set(FORMULAS)


TAGGED = [
    "/stats?site_id=blog",
    "/stats/timeseries?site_id=blog",
    "/stats/breakdown?site_id=blog&by=path",
    "/sites",
    "/export?site_id=blog",
]


@pytest.mark.parametrize("url", TAGGED)
@pytest.mark.parametrize("where", ["lake", "closed", "open"])
def test_an_unchanged_question_is_answered_304_and_a_changed_one_is_not(folder, url, where):
    with asking(folder.path) as client:
        folder.holds(event(), where=where)
        tag = client.get(url).headers["etag"]
        again = client.get(url, headers={"if-none-match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        folder.holds(event(), where=where)
        assert client.get(url, headers={"if-none-match": tag}).status_code == 200


def test_a_tag_outlives_the_process_and_not_a_change(folder):
    folder.holds(event(), where="open")
    with asking(folder.path) as client:
        tag = client.get("/stats?site_id=blog").headers["etag"]
    with asking(folder.path) as client:
        assert client.get("/stats?site_id=blog", headers={"if-none-match": tag}).status_code == 304
        json = client.get("/stats?site_id=blog", headers={"accept": "text/csv"})
        assert json.headers["etag"] != tag


@pytest.mark.parametrize("url", [*TAGGED, "/ledger", "/health", "/ready", "/metrics"])
def test_head_is_get_without_a_body(client, url):
    head, get = client.head(url), client.get(url)
    assert head.content == b""
    assert head.status_code == get.status_code == 200
    assert head.headers["content-type"] == get.headers["content-type"]


def test_an_answer_has_an_etag_unless_it_depends_on_the_clock(client):
    """Which ones do is said by the document; nothing that has none can be a 304."""
    questions = {
        "query": {"metrics": ["visitors"]},
        "funnel": {"steps": [["set", "event:page"], ["set", "event:page"]]},
        "retention": {"interval": "month"},
    }
    asked = {"site_id": "blog", "by": "path", "property": "event:page"}
    for path, described in client.get("/openapi.json").json()["paths"].items():
        question = {"site_id": "blog", "date_range": "all"}
        question |= questions.get(path.rsplit("/", 1)[-1], {})
        asked["query"] = json.dumps(question)
        names = {each["name"] for each in described["get"]["parameters"]}
        parameters = {name: value for name, value in asked.items() if name in names}
        told = client.get(path, params=parameters)
        assert told.status_code == 200
        depends_on_the_clock = "304" not in described["get"]["responses"]
        assert ("etag" not in told.headers) == depends_on_the_clock
        assert (told.headers["cache-control"] == "no-store") == depends_on_the_clock
        assert f"`{path}`" in UNTAGGED if depends_on_the_clock else f"`{path}`" not in UNTAGGED


def test_an_export_is_what_ingest_took_and_takes_again(folder, client):
    body = rb'{"site_id":"blog","event_type":"x","path":"/\"\u00e4","props":{"a":"\n"}}'
    line = to_line(body, Receipt(NOW))
    folder.segment([line])
    told = client.get("/export?site_id=blog")
    assert told.headers["content-type"] == "application/x-ndjson"
    assert told.headers["content-disposition"] == 'attachment; filename="events.ndjson"'
    assert told.content == line.replace(b":00Z", b":00.000000Z")
    later = NOW + timedelta(days=1)
    sent = Message("/events", QueryParams(), Headers(), told.content, ack="written")
    again = to_lines(read_events(sent), Receipt(later))
    assert (again.accepted, again.errors) == (1, [])
    taken = decode_line(line)
    taken.received_at = later
    assert decode_line(again.lines) == taken


HOSTILE = [
    "site_id=" + "x" * 65,
    "site_id=",
    "",
    "site_id=a&site_id=b",
    "site_id=a%00b",
    "site_id=a%0Ab",
    "site_id=a&date=2025-13-01",
    "site_id=a&date=20251112",
    "site_id=a&date=2025-W46-3",
    "site_id=a&date=null",
    "site_id=a&date=",
    "site_id=a&date=9999-12-31",
    "site_id=a&date=0001-01-01",
    "site_id=a&date=2025-11-12&from=2025-11-12",
    "site_id=a&from=2025-11-13&to=2025-11-12",
    "site_id=a&tz=",
    "site_id=a&tz=../../../etc/passwd",
    "site_id=a&tz=/etc/localtime",
    "site_id=a&tz=Europe",
    "site_id=a&tz=%2B02:00",
    "site_id=a&limit=0",
    "site_id=a&limit=-1",
    "site_id=a&limit=1001",
    "site_id=a&limit=99999999999999999999",
    "site_id=a&limit=NaN",
    "site_id=a&limit=10%3BDROP",
    "site_id=a&dat=2025-11-12",
    "site_id=a&" + "&".join(f"x{n}=1" for n in range(100)),
    "site_id=a&path=" + "x" * 2_049,
]


@pytest.mark.parametrize("query", HOSTILE)
def test_a_bad_parameter_is_400(client, query):
    told = client.get("/stats?" + query)
    assert told.status_code == 400
    assert told.headers["content-type"] == "application/problem+json"
    assert told.json()["code"] == "bad_parameter"


PLAIN_DATA = [
    "'; DROP TABLE events; --",
    "$site",
    "**/*.parquet",
    "../../etc/passwd",
    "{parts}",
    "%ff%fe",
    "%ED%A0%80",  # a lone surrogate
    "null",
    "a%25b_",
    "\N{PILE OF POO}" * 16,
]


@pytest.mark.parametrize("text", PLAIN_DATA)
@pytest.mark.parametrize("name", ["site_id", "path", "referrer", "user_id", "event_type"])
def test_what_looks_like_sql_or_a_path_is_plain_data(folder, client, text, name):

    plain = unquote(text)
    folder.holds(event(**{name: plain}), event(), where="open")
    asked = f"{name}={text}" if name == "site_id" else f"site_id=blog&{name}={text}"
    told = client.get("/stats?" + asked)
    assert told.status_code == 200
    assert told.json()["total_views"] == 1


def test_too_many_buckets_are_refused(client):
    url = "/stats/timeseries?site_id=blog&from=1970-01-01&to=2199-12-31&interval="
    assert client.get(url + "month").status_code == 200
    assert client.get(url + "hour").json()["code"] == "bad_parameter"


@pytest.mark.parametrize("by", ["", "path;", "props", "PATH", "props.%00", "props." + "x" * 65])
def test_a_breakdown_by_something_else_is_400(client, by):
    assert client.get(f"/stats/breakdown?site_id=blog&by={by}").status_code == 400


def test_what_is_not_there_is_404_and_what_does_not_fit_405(client):
    assert client.get("/nothing").json()["code"] == "not_found"
    told = client.post("/stats?site_id=blog")
    assert (told.status_code, told.json()["code"]) == (405, "method_not_allowed")
    assert set(told.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_the_token_is_asked_for_everywhere_but_at_the_door(folder):
    token = "s3cr3t-ä"
    with asking(folder.path, token=token) as client:
        for path in ("/stats", "/export", "/metrics", "/ledger", "/openapi.json", "/nothing"):
            told = client.get(path)
            assert (told.status_code, told.headers["www-authenticate"]) == (401, "Bearer")
            assert token not in told.text
        assert client.get("/health").status_code == client.get("/ready").status_code == 200
        for wrong in (b"Bearer s3cr3t", b"Bearer ", b"bearer " + token.encode(), b"\xff"):
            assert client.get("/ledger", headers={b"authorization": wrong}).status_code == 401
        right = {b"authorization": b"Bearer " + token.encode()}
        assert client.get("/ledger", headers=right).status_code == 200


def test_metrics_count_requests_by_path_and_status(client):
    client.get("/stats?site_id=blog")
    client.get("/etc/passwd")
    text = client.get("/metrics").text
    assert 'report_requests_total{path="/stats",status="200"} 1.0' in text
    assert 'report_requests_total{path="other",status="404"} 1.0' in text
