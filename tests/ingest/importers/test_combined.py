import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.importers.formats.combined import read
from ingest.importers.lines import read_lines
from ingest.importers.mapping import Mapping

APACHE = Path(__file__).parents[2] / "data" / "elastic_apache"
STAMP = b"[17/May/2015:10:05:03 +0000]"


def line(
    request: bytes = b"GET / HTTP/1.1",
    *,
    address: bytes = b"203.0.113.9",
    user: bytes = b"-",
    stamp: bytes = STAMP,
    rest: bytes = b' "-" "curl/8"',
) -> bytes:
    return address + b" - " + user + b" " + stamp + b' "' + request + b'" 200 512' + rest


EVERY_LINE = Mapping(every_line=True)


def view_of(raw: bytes) -> dict[str, Any]:
    request = read(raw)
    assert request is not None, raw
    record = EVERY_LINE.record(request)
    return record.event | {"visitor": record.visitor}


def visitor(address: bytes, agent: bytes) -> bytes:
    return address + b"\x1f" + agent


def test_a_combined_line_is_a_page_view_with_its_referrer() -> None:
    raw = line(b"GET /docs?page=2 HTTP/1.1", rest=b' "http://other.example/a?b" "curl/8"')
    assert view_of(raw) == {
        "event_type": "page_view",
        "path": "/docs",
        "visitor": visitor(b"203.0.113.9", b"curl/8"),
        "timestamp": "2015-05-17T10:05:03Z",
        "referrer": "http://other.example/a?b",
    }


def test_a_common_line_has_no_referrer_and_its_user_no_agent() -> None:
    view = view_of(line(rest=b""))
    assert view["visitor"] == visitor(b"203.0.113.9", b"")
    assert "referrer" not in view


@pytest.mark.parametrize(
    "request_field, path",
    [
        pytest.param(b"GET /a/b HTTP/1.1", "/a/b", id="the target"),
        pytest.param(b"POST /a HTTP/2.0", "/a", id="whatever the method"),
        pytest.param(b"GET /a?b?c HTTP/1.1", "/a", id="up to the first question mark"),
        pytest.param(b"GET ?b HTTP/1.1", "/", id="only a query is the root"),
        pytest.param(b"GET  HTTP/1.1", "/", id="an empty target is the root"),
        pytest.param(b"GET /a", "/a", id="HTTP 0.9 has no version"),
        pytest.param(b"GET /a b HTTP/1.1", "/a b", id="a target may hold a space"),
        pytest.param(b"GET http://host/x?y HTTP/1.1", "http://host/x", id="absolute stays so"),
        pytest.param(b"OPTIONS * HTTP/1.1", "*", id="an asterisk"),
        pytest.param(b"GET HTTP/1.1", "/", id="a version but no target"),
        pytest.param(b"-", "/", id="no request at all"),
        pytest.param(b"", "/", id="an empty request"),
        pytest.param(rb"\x16\x03\x01", "/", id="TLS on a plain port"),
        pytest.param(rb"GET /say\"hi\" HTTP/1.1", r"/say\"hi\"", id="an escaped quote"),
        pytest.param(rb"GET /back\\ HTTP/1.1", r"/back\\", id="an escaped backslash"),
        pytest.param(rb"GET /\xe9 HTTP/1.1", r"/\xe9", id="an escaped byte stays escaped"),
        pytest.param(b"GET /\xe9 HTTP/1.1", r"/\xe9", id="a raw byte looks the same"),
        pytest.param("GET /é HTTP/1.1".encode(), "/é", id="UTF-8 is read as such"),
        pytest.param(b"GET /\x01\x7f HTTP/1.1", r"/\x01\x7f", id="a control character too"),
        pytest.param(b"GET /" + b"a" * 3000, "/" + "a" * 2047, id="cut at the limit of ingest"),
    ],
)
def test_path(request_field: bytes, path: str) -> None:
    assert view_of(line(request_field))["path"] == path


@pytest.mark.parametrize(
    "stamp, timestamp",
    [
        (b"[17/May/2015:10:05:03 +0000]", "2015-05-17T10:05:03Z"),
        (b"[01/Jan/2016:00:30:00 +0200]", "2015-12-31T22:30:00Z"),
        (b"[31/Dec/2015:23:30:00 -0330]", "2016-01-01T03:00:00Z"),
        (b"[29/Feb/2016:12:00:00 +0545]", "2016-02-29T06:15:00Z"),
    ],
)
def test_a_timestamp_of_any_offset_becomes_utc(stamp: bytes, timestamp: str) -> None:
    assert view_of(line(stamp=stamp))["timestamp"] == timestamp


@pytest.mark.parametrize("address", [b"2001:db8::1", b"::ffff:192.0.2.1", b"host.example"])
def test_an_address_of_any_kind_is_the_user_together_with_the_agent(address: bytes) -> None:
    assert view_of(line(address=address))["visitor"] == visitor(address, b"curl/8")


@pytest.mark.parametrize(
    "rest, referrer, agent",
    [
        pytest.param(b' "-" "a b"', None, b"a b", id="a dash is no referrer"),
        pytest.param(b' "" "a"', None, b"a", id="nor is an empty one"),
        pytest.param(b' "http://r/" "-"', "http://r/", b"", id="a dash is no agent"),
        pytest.param(b' "http://r/" "cut of', "http://r/", b"cut of", id="no closing quote"),
        pytest.param(b' "http://r/" "cut\\', "http://r/", b"cut", id="cut inside an escape"),
        pytest.param(b' "http://cut', None, b"", id="cut inside the referrer"),
        pytest.param(rb' "http://r/\"" "\"a\""', r"http://r/\"", rb"\"a\"", id="escaped quotes"),
        pytest.param(b' "http://r/" "a" "1.2.3.4" 0.03', "http://r/", b"a", id="more fields"),
        pytest.param(b" 0.03", None, b"", id="more fields in a common line"),
        pytest.param(b' "\x02' + b"r" * 3000 + b'" "a"', r"\x02" + "r" * 2044, b"a", id="too long"),
    ],
)
def test_referrer_and_agent(rest: bytes, referrer: str | None, agent: bytes) -> None:
    view = view_of(line(rest=rest))
    assert (view.get("referrer"), view["visitor"]) == (referrer, visitor(b"203.0.113.9", agent))


def test_an_answer_without_a_body_has_a_dash_for_its_size() -> None:
    assert view_of(line().replace(b" 200 512 ", b" 304 - "))["path"] == "/"


def test_a_user_name_may_hold_spaces() -> None:
    assert view_of(line(user=b"jane doe [web]"))["path"] == "/"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="an empty line"),
        pytest.param(b"Traceback (most recent call last):", id="prose"),
        pytest.param(b"\x00\xff\x1f\x8b", id="not text"),
        pytest.param(line()[:60], id="cut inside the request"),
        pytest.param(b"example.org:443 " + line(), id="a virtual host in front"),
        pytest.param(line(stamp=b"[31/Feb/2015:10:05:03 +0000]"), id="a day that never was"),
        pytest.param(line(stamp=b"[17/Mai/2015:10:05:03 +0000]"), id="a month in German"),
        pytest.param(line(stamp=b"[17/May/2015:25:05:03 +0000]"), id="hour 25"),
        pytest.param(line(stamp=b"[01/Jan/0001:00:00:00 +0100]"), id="before the year 1 in UTC"),
        pytest.param(line(stamp=b"[17/May/2015:10:05:03 +9900]"), id="an offset of four days"),
        pytest.param(line().replace(b" 200 ", b" OK "), id="a status that is no number"),
        pytest.param(line().replace(b" 512 ", b" 512k "), id="a size that is no number"),
        pytest.param(b"1.2.3.4 - - " + STAMP + b' "' + b"a" * 100_000, id="a quote left open"),
    ],
)
def test_not_a_log_line(raw: bytes) -> None:
    assert read(raw) is None


@settings(deadline=None)
@given(requested=st.binary(), referrer=st.binary(), agent=st.binary())
def test_whatever_was_requested_ingest_has_no_reason_to_refuse_it(
    requested: bytes, referrer: bytes, agent: bytes
) -> None:
    raw = line(requested, rest=b' "' + referrer + b'" "' + agent + b'"').replace(b"\n", b"")
    request = read(raw)
    for mapping in (EVERY_LINE, Mapping()) if request else ():
        event = mapping.record(request).event
        for name, value in (event | event.pop("props", {})).items():
            assert str(value).encode("utf-8")
            assert 1 <= len(str(value)) <= 2048, name
            assert not any(c < " " or c == "\x7f" for c in str(value)), name


@settings(deadline=None)
@given(st.binary())
def test_no_bytes_whatever_raise(raw: bytes) -> None:
    read(raw)


def counted(views: list[dict[str, str]]) -> dict[str, Any]:
    paths = Counter(view["path"] for view in views)
    top = sorted(paths.items(), key=lambda entry: (-entry[1], entry[0].encode()))[:10]
    return {
        "total_views": len(views),
        "unique_users": len({view["visitor"] for view in views}),
        "top_paths": [{"path": path, "views": times} for path, times in top],
    }


def test_a_real_log_of_ten_thousand_lines_gives_what_others_counted() -> None:
    truth = json.loads((APACHE / "truth.json").read_text())
    log = str(APACHE / "apache_logs.gz")
    views = [view_of(line.raw) for line in read_lines(log, on_bytes=lambda _: None)]
    days = defaultdict(list)
    for view in views:
        days[view["timestamp"][:10]].append(view)
    assert {day: counted(of_day) for day, of_day in days.items()} == truth["days"]
    assert counted(views).items() <= truth.items()
    assert len({view["path"] for view in views}) == truth["distinct_paths"]
