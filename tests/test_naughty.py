"""Strings and JSON texts that break other programs go in, and come out of report as they were."""
# ruff: noqa: E501

import json
from collections import Counter
from itertools import product

import httpx2
import pytest

from tests.naughty import CONTROLS, NAUGHTY
from tests.processes import compact_once, running

SITE = "naughty"


def event(number, **fields):
    return {"site_id": SITE, "event_type": "x", "user_id": f"{number}", **fields}


def sent_each_way(ingest, texts):
    """Statuses of POST /event for each text, and of one POST /events for all of each kind."""
    with httpx2.Client(base_url=ingest.url) as client:
        singles = [client.post("/event", content=text).status_code for text in texts]
        lines = client.post("/events", content=b"\n".join(texts)).json()
        array = client.post("/events", content=b"[" + b",".join(texts) + b"]")
    return singles, lines, array


def exported(report, **selection):
    answer = httpx2.get(report.url + "/export", params={"site_id": SITE, **selection}, timeout=30)
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.content.split(b"\n") if line]


def told(events):
    """What was sent in each, as often as it is there."""
    fields = ("user_id", "path", "referrer", "props")
    return Counter(json.dumps([e.get(f) for f in fields], sort_keys=True) for e in events)


def test_naughty_strings_come_back_as_they_went_in(tmp_path):
    events = [
        event(number, path=text, referrer=text, props={text[:64]: text, "control": control})
        for number, (text, control) in enumerate(zip(NAUGHTY, CONTROLS * 9, strict=False))
    ]
    assert len(events) > 200
    texts = [
        json.dumps(event, ensure_ascii=bool(event["user_id"][-1] in "02468")).encode()
        for event in events
    ]
    with running("ingest", tmp_path) as ingest, running("report", tmp_path) as report:
        singles, lines, array = sent_each_way(ingest, texts)
        assert set(singles) == {202}
        assert lines == array.json() == {"accepted": len(events), "rejected": 0}
        expected = told(events * 3)
        assert told(exported(report)) == expected  # from the spool
        for text in NAUGHTY[::20]:
            found = exported(report, path=text)
            assert {e["path"] for e in found} == {text}
        breakdown = {"site_id": SITE, "event_type": "", "by": "path", "limit": 1000}
        rows = httpx2.get(report.url + "/stats/breakdown", params=breakdown).json()["rows"]
        assert {row["value"] for row in rows} == set(NAUGHTY)
        assert ingest.stop() == 0
        compact_once(tmp_path)
        assert told(exported(report)) == expected  # from the lake


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    with running("ingest", data_dir) as ingest, running("report", data_dir) as report:
        yield ingest, report


def test_control_characters_are_values_of_props_and_nothing_else(world):
    ingest, _ = world
    fields = [{"path": c} for c in CONTROLS] + [{"props": {c: 1}} for c in CONTROLS]
    texts = [json.dumps(event(n, **each)).encode() for n, each in enumerate(fields)]
    singles, lines, array = sent_each_way(ingest, texts)
    assert set(singles) == {422}
    assert (lines["accepted"], lines["rejected"], array.status_code) == (0, len(texts), 422)


# JSON texts, as the value of one prop, in the manner of JSONTestSuite

SCALARS = [
    *("0", "-0", "1", "-1", "123", "9007199254740993", "9223372036854775807", "-9223372036854775808"),
    *("18446744073709551615", "0.1", "-0.0", "1.0", "1e5", "1E5", "1e+5", "1e-5", "0e1", "0E-1"),
    *("123e45", "123.456e78", "1.7976931348623157e308", "4.9e-324", "5e-324", "1e-400", "0.1e1"),
    *("-123.123e-12", "true", "false", "null", '""', '" "', '"a"', '"\\u0061"', '"\\""', '"\\\\"'),
    *('"\\/"', '"\\b\\f\\n\\r\\t"', '"\\u0000"', '"\\u001f"', '"\\u007f"', '"\\u00e9"', '"\\u20ac"'),
    *('"\\uD834\\uDD1E"', '"\\ud83d\\ude39"', '"\\uDBFF\\uDFFF"', '"\\uFFFE"', '"\\uFDD0"', '"\u2028"'),
    *('"\\u200B"', '"\\u2064"', '"€𝄞"', '"\x7f"', '"/*"', '"//"', '"[1"', '"\\u005C"', '"\\u0022"'),
    *('"asd "', ' 1', '1 ', '\t1\n', '\r1', '"\\\\u0000"', '"new\\u00A0line"', '"\uffff"', '"\u0085"'),
]  # fmt: skip
BROKEN = [
    *("", "+1", "01", "-01", "-", "--1", "1.", ".1", "-.1", "1.e1", "1e", "1e+", "1eE2", "1e1.5", "0x1"),
    *("1_000", "1,000", "Infinity", "-Infinity", "NaN", "-NaN", "nan", "inf", "1a", "1.2a", "0e", "0e+"),
    *("tru", "True", "TRUE", "nul", "NULL", "truee", "falsy", "undefined", "'a'", "a", '"a', 'a"', '"'),
    *('"\\"', '"\\a"', '"\\x00"', '"\\u00"', '"\\u00G0"', '"\\uD800\\u"', '"\\', '"\\u', '"a\nb"'),
    *('"\tb"', '"a\x00b"', '"\x1f"', "1 2", '"a" "b"', "1,", ",1", ":1", "1:2", "[", "]", "{", "}", "[1"),
    *("[1,]", "[,1]", "[1,,2]", "[1 2]", "[1:2]", '["a":1]', "{1:2}", "{a:1}", "{'a':1}", '{"a"}'),
    *('{"a":}', '{"a":1,}', '{,"a":1}', '{"a":1 "b":2}', '{"a":1,,"b":2}', '{"a" 1}', '{"a":1', "[}", "{]"),
    *("/* */1", "1//", "#1", "<null>", "\ufeff1", "\u00a01", "1\u2060", "\x0c1", "\x0b1", "\x001", "*", "$"),
    *('"\\ud800"', '"\\udc00"', '"\\ud800\\ud800"', '"\\uD800a"', '"\\uDd1e\\uD834"', '"\\ud83d\\n"'),
]  # fmt: skip
NOT_UTF8 = [
    *(b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\xbf\xbf\xbf", b"\xe0\xff", b"\x80", b"\xc3"),
    *(b"\xf0\x9f\x98", b"\xf8\x88\x80\x80\x80", b"\xfe\xfe", b"\xe9", b"\xe0\x80\x80", b"\xf0\x80\x80\x80"),
]  # fmt: skip
NESTED = [
    "[]",
    "{}",
    "[1]",
    '{"a":1}',
    "[[[[[]]]]]",
    '[{"a":[1]}]',
    "[" * 400 + "]" * 400,
    "[[],[]]",
]
TOO_BIG = ["1e309", "-1e309", "1e99999", "18446744073709551616", "1" * 400, "-9223372036854775809"]
ROOMS = [
    b'{"site_id":"json","event_type":"x","props":{"v":%b}}',
    b'{"props":{"a":1,"v":%b},"site_id":"json","event_type":"x"}',
]


def wrapped(values):
    encoded = (v if isinstance(v, bytes) else v.encode() for v in values)
    return [room.replace(b"%b", value) for value, room in product(encoded, ROOMS)]


@pytest.mark.parametrize(
    ("values", "statuses"),
    [
        pytest.param(SCALARS, {202}, id="scalars"),
        pytest.param(BROKEN, {400, 422}, id="broken"),
        pytest.param([b'"' + each + b'"' for each in NOT_UTF8], {400}, id="not UTF-8"),
        pytest.param(NESTED, {422}, id="nested"),
        pytest.param(["[" * 9_000, "[" * 9_000 + "]" * 9_000], {400, 422}, id="nested without end"),
    ],
)
def test_a_json_text_is_taken_or_refused_as_rfc_8259_has_it(world, values, statuses):
    ingest, _ = world
    texts = wrapped(values)
    with httpx2.Client(base_url=ingest.url) as client:
        told = {text: client.post("/event", content=text).status_code for text in texts}
        assert {text: status for text, status in told.items() if status not in statuses} == {}
        for text in texts:  # in a batch it costs no other event anything
            if b"\n" in text:
                continue
            good = wrapped(["1"])[0]
            answer = client.post("/events", content=good + b"\n" + text + b"\n" + good).json()
            assert answer["accepted"] == (3 if 202 in statuses else 2), text


def test_a_number_too_big_for_its_type_is_refused_or_comes_back_as_it_was(world):
    ingest, report = world
    with httpx2.Client(base_url=ingest.url) as client:
        for text in [*SCALARS, *TOO_BIG]:
            body = b'{"site_id":"numbers","event_type":"x","props":{"v":%b}}' % text.encode()
            status = client.post("/event", content=body).status_code
            assert status == 202 or (status in (400, 422) and text in TOO_BIG), text
    answer = httpx2.get(report.url + "/export", params={"site_id": "numbers"})
    got = Counter(repr(json.loads(line).get("props")) for line in answer.content.splitlines())
    sent = Counter(repr({"v": json.loads(text)}) for text in SCALARS)
    assert not sent - got
    assert len(got - sent) <= len(TOO_BIG)
