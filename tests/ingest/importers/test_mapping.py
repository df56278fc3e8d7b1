"""What kind of event a logged request is, and what it says of its visitor."""

import pytest

from ingest.importers.formats.combined import read
from ingest.importers.mapping import Mapping

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36"
    " (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def record_of(request="GET / HTTP/1.1", status=200, agent=CHROME, mapping=Mapping()):  # noqa: B008
    stamp = "[17/May/2015:23:30:00 +0000]"
    line = f'203.0.113.9 - - {stamp} "{request}" {status} 5 "-" "{agent}"'
    return mapping.record(read(line.encode()))


@pytest.mark.parametrize(
    "request_, status, kind",
    [
        ("GET / HTTP/1.1", 200, "page_view"),
        ("GET /a/b HTTP/1.1", 206, "page_view"),
        ("GET /a.html HTTP/1.1", 200, "page_view"),
        ("GET /a.php?b=c.css HTTP/1.1", 200, "page_view"),
        ("GET /v1.2/docs HTTP/1.1", 200, "page_view"),
        ("GET /css HTTP/1.1", 200, "page_view"),
        ("GET /a.css/ HTTP/1.1", 200, "page_view"),
        ("GET /a HTTP/1.1", 304, "page_view"),
        ("GET /a.css HTTP/1.1", 200, "asset"),
        ("GET /A.CSS?v=3 HTTP/1.1", 304, "asset"),
        ("GET /.css HTTP/1.1", 200, "asset"),
        ("GET /robots.txt HTTP/1.1", 200, "asset"),
        ("GET /feed.xml HTTP/1.1", 200, "asset"),
        ("GET /font.woff2 HTTP/1.1", 200, "asset"),
        ("GET /app.min.js.map HTTP/1.1", 200, "asset"),
        ("GET /paper.pdf HTTP/1.1", 200, "download"),
        ("GET /x.tar.gz HTTP/1.1", 206, "download"),
        ("GET /talk.MP4 HTTP/1.1", 200, "download"),
        ("HEAD / HTTP/1.1", 200, "request"),
        ("POST /a.css HTTP/1.1", 200, "request"),
        ("OPTIONS * HTTP/1.1", 204, "request"),
        ("GET /socket HTTP/1.1", 101, "request"),
        ("GET /gone HTTP/1.1", 000, "request"),
        ("-", 200, "request"),
        ("GET /old HTTP/1.1", 301, "redirect"),
        ("POST /login HTTP/1.1", 302, "redirect"),
        ("GET /a.css HTTP/1.1", 302, "redirect"),
        ("HEAD / HTTP/1.1", 304, "request"),
        ("GET /none HTTP/1.1", 404, "error"),
        ("POST /none HTTP/1.1", 405, "error"),
        ("GET /none.css HTTP/1.1", 404, "error"),
        ("GET /slow HTTP/1.1", 499, "error"),
        ("GET / HTTP/1.1", 503, "error"),
        (r"\x16\x03\x01", 400, "error"),
    ],
)
def test_a_request_is_the_first_kind_that_fits(request_, status, kind):
    record = record_of(request_, f"{status:03}")
    assert record.event["event_type"] == kind
    every_line = record_of(request_, f"{status:03}", mapping=Mapping(every_line=True)).event
    assert every_line.keys() == {"event_type", "path", "timestamp"}
    assert every_line["event_type"] == "page_view"


def test_what_is_no_page_view_has_its_status_and_its_method():
    assert record_of("HEAD /a HTTP/1.1", 404).event["props"] == {"status": 404, "method": "HEAD"}
    assert record_of(r"\x16\x03\x01", 400).event["props"] == {"status": 400}
    assert "props" not in record_of().event


def test_only_what_a_person_does_has_a_visitor():
    people = {
        status_and_path: record_of(f"GET {status_and_path[1]} HTTP/1.1", status_and_path[0]).visitor
        for status_and_path in [
            (200, "/"),
            (200, "/a.zip"),
            (200, "/a.css"),
            (301, "/"),
            (404, "/"),
        ]
    }
    assert [visitor is not None for visitor in people.values()] == [True, True, False, False, False]


def test_a_visitor_is_of_a_day_unless_asked_to_last():
    daily, lasting = record_of(), record_of(mapping=Mapping(lasting_visitors=True))
    assert (daily.visitor, daily.is_daily) == (b"2015-05-17\x1f" + lasting.visitor, True)
    assert lasting.is_daily is False


def test_an_agent_is_told_by_what_it_is_and_a_robot_is_marked():
    person, robot = record_of().event, record_of(agent=GOOGLEBOT).event
    assert [person.get(name) for name in ("browser", "os", "device", "bot")] == [
        "Chrome",
        "Windows",
        "desktop",
        None,
    ]
    assert (robot["bot"], robot["event_type"]) == ("search", "page_view")
    assert record_of(agent="-").event["bot"] == "other"  # who sends none
    common = read(b'203.0.113.9 - - [17/May/2015:23:30:00 +0000] "GET / HTTP/1.1" 200 5')
    assert "bot" not in Mapping().record(common).event  # nobody knows


@pytest.mark.parametrize(
    "query, fields",
    [
        ("utm_source=x&utm_medium=cpc&utm_campaign=May%202", "x|cpc|May 2"),
        ("ref=friend", "friend||"),
        ("source=a&ref=b", "b||"),
        ("utm_source=a&utm_source=b", "a||"),
        ("utm_source=&ref=b", "b||"),
        ("utm_source=%00x&utm_medium=+", "||"),
        ("gclid=a-person", "|||gclid"),
        ("page=2", "||"),
        ("&".join(["a=b"] * 100), "||"),
        ("utm_source=" + "x" * 3_000, "x" * 255 + "||"),
    ],
)
def test_the_query_says_how_a_visitor_came(query, fields):
    event = record_of(f"GET /a?{query} HTTP/1.1").event
    names = ("utm_source", "utm_medium", "utm_campaign", "click_id")
    assert [event.get(name) or "" for name in names] == [*fields.split("|"), ""][:4]
    assert "a-person" not in str(event)


def test_the_hostname_is_that_of_an_option() -> None:
    event = record_of(mapping=Mapping(hostname="www.example.com")).event
    assert event["hostname"] == "www.example.com"
    assert "hostname" not in record_of().event
