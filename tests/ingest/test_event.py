"""What a client may send, and the spool line that it becomes."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers, QueryParams

from ingest import batch
from ingest.batch import BATCH_ERRORS_MAX
from ingest.dialects.dialect import Message
from ingest.dialects.native import BATCH_EVENTS_MAX, answer_events, read_events
from ingest.event import EVENT_BYTES_MAX, StoredEvent, decode_line
from ingest.receipt import Receipt, to_line
from ingest.refusal import Refusal, Refused

NOW = datetime(2026, 11, 22, 8, 0, 0, 123456, UTC)
RECEIPT = Receipt(NOW)


def to_lines(body, receipt):
    """The outcome of a POST /events."""
    message = Message("/events", QueryParams(), Headers(), body, ack="written")
    return batch.to_lines(read_events(message), receipt)


def errors_of(outcome):
    return msgspec.json.decode(answer_events(outcome).body)["errors"]


def line_of(**fields):
    event = {"site_id": "blog", "event_type": "page_view", **fields}
    return to_line(json.dumps(event).encode(), RECEIPT)


def refusal_of(body):
    with pytest.raises(Refused) as caught:
        to_line(body, RECEIPT)
    return caught.value.refusal, caught.value.detail


def event_with(**fields):
    return json.dumps({"site_id": "blog", "event_type": "page_view", **fields}).encode()


def test_a_line_is_the_event_and_the_time_of_receipt():
    assert line_of(path="/", user_id="ann") == (
        b'{"site_id":"blog","event_type":"page_view","path":"/","user_id":"ann",'
        b'"timestamp":"2026-11-22T08:00:00.123456Z","received_at":"2026-11-22T08:00:00.123456Z"}\n'
    )


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-11-22T00:30:00+02:00", "2026-11-21T22:30:00Z"),
        ("2026-11-22T08:00:00.000000Z", "2026-11-22T08:00:00Z"),
        ("2026-11-22T08:00:00.5Z", "2026-11-22T08:00:00.500000Z"),
        ("2026-11-22T08:00:00.123456Z", "2026-11-22T08:00:00.123456Z"),
        ("2026-11-22 08:00:00z", "2026-11-22T08:00:00Z"),
        ("2026-11-22t08:00:00-00:00", "2026-11-22T08:00:00Z"),
        # finer than a microsecond is cut: rounded, it would be of the next day
        ("2026-11-21T23:59:59.9999999Z", "2026-11-21T23:59:59.999999Z"),
        ("2026-11-22T00:30:00.12345678901234567890+02:00", "2026-11-21T22:30:00.123456Z"),
        # a leap second stays on its day, too
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-31T23:59:60.25Z", "2016-12-31T23:59:59.999999Z"),
        ("1990-12-31T15:59:60-08:00", "1990-12-31T23:59:59.999999Z"),
    ],
)
def test_a_timestamp_is_kept_in_utc_to_the_microsecond(sent, kept):
    line = line_of(timestamp=sent)
    assert f'"timestamp":"{kept}"'.encode() in line
    assert decode_line(line).timestamp == datetime.fromisoformat(kept)


@pytest.mark.parametrize(
    "timestamp",
    [
        pytest.param("2026-11-22T08:00:00", id="no offset"),
        pytest.param("2026-11-22T08:00:00+0100", id="an offset without a colon"),
        pytest.param("2026-11-22T08:00:00+01", id="an offset of hours"),
        pytest.param("2026-11-22T08:00:00+24:00", id="an offset of a day"),
        pytest.param("2026-11-22T08:00:00+01:60", id="an offset of 60 minutes"),
        pytest.param("2026-11-22T08:00Z", id="no seconds"),
        pytest.param("2026-11-22T08:00:00.Z", id="a point and no digits"),
        pytest.param("2026-11-22T08:00:00,5Z", id="a comma"),
        pytest.param("2026-11-22T24:00:00Z", id="hour 24"),
        pytest.param("2026-11-22T08:00:60Z", id="a leap second in the morning"),
        pytest.param("2026-11-22T23:59:60Z", id="a leap second in the middle of a month"),
        pytest.param("9999-12-31T23:59:60Z", id="a leap second at the end of time"),
        pytest.param("2026-02-29T08:00:00Z", id="29 February"),
        pytest.param("2026-W47-7T08:00:00Z", id="a week"),
        pytest.param("0000-01-01T00:00:00Z", id="the year 0"),
        pytest.param("٢٠٢٦-11-22T08:00:00Z", id="other digits"),
        pytest.param("2026-11-22T08:00:00Z\n", id="a line ending"),
        pytest.param("", id="nothing"),
        pytest.param("yesterday", id="a word"),
        pytest.param(1795335647, id="a number"),
    ],
)
def test_what_rfc_3339_does_not_have_is_no_timestamp(timestamp):
    refusal, detail = refusal_of(event_with(timestamp=timestamp))
    assert refusal is Refusal.INVALID_EVENT
    assert "$.timestamp" in detail


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"site_id": "s" * 64, "event_type": "t" * 64}, id="the longest names"),
        pytest.param({"path": "/" * 2048, "referrer": "r" * 2048}, id="the longest addresses"),
        pytest.param({"user_id": "ü" * 128, "event_id": "e" * 64}, id="characters, not bytes"),
        pytest.param({"referrer": ""}, id="an empty referrer"),
        pytest.param({"props": {f"{n:064d}": "v" * 1024 for n in range(32)}}, id="full props"),
        pytest.param(
            {"props": {"a": 1, "b": 1.5, "c": True, "d": None, "e": "x\u0000\n"}}, id="values"
        ),
        pytest.param({"timestamp": "1970-01-01T00:00:00Z"}, id="the earliest time"),
        pytest.param({"timestamp": "2026-11-23T08:00:00.123456Z"}, id="24 hours ahead"),
        pytest.param({"path": None, "props": None}, id="null is absent"),
    ],
)
def test_a_valid_event_is_read_back_from_its_line_as_it_was(fields):
    stored = msgspec.to_builtins(decode_line(line_of(**fields)))
    for name, value in fields.items():
        assert stored.get(name) == value or name == "timestamp"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        pytest.param({"site_id": ""}, "$.site_id", id="empty site"),
        pytest.param({"site_id": "s" * 65}, "$.site_id", id="long site"),
        pytest.param({"site_id": 5}, "$.site_id", id="a number for a site"),
        pytest.param({"event_type": None}, "$.event_type", id="no type"),
        pytest.param({"path": ""}, "$.path", id="empty path"),
        pytest.param({"path": "/" * 2049}, "$.path", id="long path"),
        pytest.param({"user_id": "u" * 129}, "$.user_id", id="long user"),
        pytest.param({"event_id": "e" * 65}, "$.event_id", id="long event_id"),
        pytest.param({"referrer": "r" * 2049}, "$.referrer", id="long referrer"),
        pytest.param({"props": {"a": [1]}}, "$.props", id="an array in props"),
        pytest.param({"props": {"a": {"b": 1}}}, "$.props", id="an object in props"),
        pytest.param({"props": {"k" * 65: 1}}, "$.props", id="a long key"),
        pytest.param({"props": {"a": "v" * 1025}}, "$.props", id="a long value"),
        pytest.param({"props": {str(n): n for n in range(33)}}, "$.props", id="33 props"),
        pytest.param({"site_id": "a\nb"}, "$.site_id", id="a newline in site"),
        pytest.param({"path": "/\u0000"}, "$.path", id="NUL in path"),
        pytest.param({"user_id": "\u007f"}, "$.user_id", id="DEL in user"),
        pytest.param({"props": {"a\tb": 1}}, "$.props", id="a tab in a key"),
        pytest.param({"plan": "pro"}, "`plan`", id="a field that is not in the schema"),
    ],
)
def test_a_broken_rule_is_refused_with_the_field_named(fields, path):
    refusal, detail = refusal_of(event_with(**fields))
    assert refusal is Refusal.INVALID_EVENT
    assert path in detail


@pytest.mark.parametrize(
    "written", [b"\x7f", rb"\u007f", rb"\n"], ids=["as it is", "escaped", "newline"]
)
def test_a_control_character_is_found_however_it_is_written(written):
    body = b'{"site_id":"a%b","event_type":"b"}' % written
    assert refusal_of(body)[0] is Refusal.INVALID_EVENT
    assert to_lines(GOOD + b"\n" + body, RECEIPT).refused == {Refusal.INVALID_EVENT: 1}


def test_an_unknown_field_is_pointed_to_props():
    assert "props" in refusal_of(event_with(plan="pro"))[1]


@pytest.mark.parametrize(
    "timestamp",
    ["1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "2026-11-23T08:00:00.123457Z",
     "9999-12-31T23:59:59-14:00"],
)  # fmt: skip
def test_a_timestamp_out_of_range_is_refused(timestamp):
    assert refusal_of(event_with(timestamp=timestamp))[0] is Refusal.TIMESTAMP_OUT_OF_RANGE


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"nul", b"\xff\xfe", b'{"site_id":"\xff","event_type":"b"}',
     b'{"site_id":"\\ud800","event_type":"b"}', b'{"site_id":"a","event_type":"b"}x',
     b'{"site_id":"a\nb","event_type":"b"}', b'{"site_id":"a","event_type":"b","props":{"n":NaN}}'],
)  # fmt: skip
def test_what_is_not_json_is_refused(body):
    assert refusal_of(body)[0] is Refusal.MALFORMED_JSON


def test_the_time_of_receipt_in_an_event_is_not_taken_for_ours():
    line = line_of(path="/", received_at="2020-01-01T00:00:00Z")
    assert line == line_of(path="/")
    assert to_lines(event_with(received_at="x"), RECEIPT).lines == line_of()


def test_however_far_the_past_may_be_it_begins_in_1970():
    receipt = Receipt(NOW, past_max=timedelta(days=60 * 365))
    assert to_line(event_with(timestamp="1970-01-01T00:00:00Z"), receipt)
    with pytest.raises(Refused, match="before 1970"):
        to_line(event_with(timestamp="1969-12-31T23:59:59Z"), receipt)
    receipt = Receipt(NOW, past_max=timedelta(hours=36))
    assert to_line(event_with(timestamp="2026-11-20T20:00:00.123456Z"), receipt)
    with pytest.raises(Refused, match=r"more than 1\.5 days in the past"):
        to_line(event_with(timestamp="2026-11-20T20:00:00.123455Z"), receipt)


def test_an_event_over_its_limit_is_refused():
    assert refusal_of(b" " * (EVENT_BYTES_MAX + 1))[0] is Refusal.TOO_LARGE


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_json_is_either_refused_or_a_line_that_reads_back(value):
    body = json.dumps(value).encode()
    try:
        line = to_line(body, RECEIPT)
    except Refused:
        return
    assert isinstance(decode_line(line), StoredEvent)


TEXT = st.text(min_size=1, max_size=64)
VALUES = st.text(max_size=64) | st.integers() | st.floats(allow_nan=False) | st.booleans()


@given(
    st.fixed_dictionaries(
        {"site_id": TEXT, "event_type": TEXT},
        optional={
            "path": TEXT,
            "user_id": TEXT,
            "event_id": TEXT,
            "referrer": TEXT,
            "props": st.dictionaries(TEXT, VALUES | st.none(), max_size=5),
            "timestamp": st.datetimes(
                datetime(1960, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)
            ).map(datetime.isoformat),
        },
    ),
    st.booleans(),
)
def test_every_accepted_event_is_one_line_of_utf8_json_with_the_same_values(event, ascii_only):
    try:
        line = to_line(json.dumps(event, ensure_ascii=ascii_only).encode(), RECEIPT)
    except (Refused, UnicodeEncodeError):  # a lone surrogate cannot be sent as UTF-8
        return
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    stored = json.loads(line.decode())
    for name in ("site_id", "event_type", "path", "user_id", "event_id", "referrer"):
        assert stored.get(name) == event.get(name)
    assert (stored.get("props") or {}) == (event.get("props") or {})
    assert line == msgspec.json.encode(decode_line(line)) + b"\n"


# Batches


GOOD = b'{"site_id":"a","event_type":"b"}'


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(GOOD + b"\n" + GOOD + b"\n", id="NDJSON"),
        pytest.param(GOOD + b"\r\n\r\n \n" + GOOD, id="NDJSON with CRLF, blank lines, no last one"),
        pytest.param(b" [" + GOOD + b",\n" + GOOD + b"] ", id="a JSON array"),
    ],
)
def test_both_kinds_of_batch_are_understood(body):
    outcome = to_lines(body, RECEIPT)
    assert (outcome.accepted, outcome.rejected, outcome.errors) == (2, 0, [])


def test_an_invalid_event_costs_the_batch_nothing_but_itself():
    outcome = to_lines(b"\n".join([GOOD, b"{", GOOD, b'{"site_id":"a"}']), RECEIPT)
    assert outcome.accepted == outcome.lines.count(b"\n") == 2
    assert [(error["index"], error["code"]) for error in errors_of(outcome)] == [
        (1, "malformed_json"),
        (3, "invalid_event"),
    ]


def test_an_event_over_its_limit_costs_the_batch_nothing_but_itself():
    large = GOOD.replace(b",", b"," + b" " * EVENT_BYTES_MAX)
    outcome = to_lines(b"\n".join([GOOD, large, GOOD]), RECEIPT)
    assert (outcome.accepted, outcome.rejected) == (2, 1)
    assert outcome.refused == {Refusal.TOO_LARGE: 1}


def test_the_first_errors_are_listed_and_all_are_counted():
    outcome = to_lines(b"x\n" * (BATCH_ERRORS_MAX + 5), RECEIPT)
    assert outcome.rejected == BATCH_ERRORS_MAX + 5
    assert len(outcome.errors) == BATCH_ERRORS_MAX


def test_a_batch_has_a_limit_of_events():
    to_lines(GOOD + (b"\n" + GOOD) * (BATCH_EVENTS_MAX - 1), RECEIPT)
    with pytest.raises(Refused) as caught:
        to_lines(GOOD + (b"\n" + GOOD) * BATCH_EVENTS_MAX, RECEIPT)
    assert caught.value.refusal is Refusal.TOO_LARGE


@pytest.mark.parametrize("body", [b"[", b"[1,", b"[" * 100_000, b"[\xff]"])
def test_an_array_that_cannot_be_taken_apart_is_refused_whole(body):
    with pytest.raises(Refused) as caught:
        to_lines(body, RECEIPT)
    assert caught.value.refusal is Refusal.MALFORMED_JSON


def test_the_receipt_allows_for_clocks_a_day_ahead():
    assert RECEIPT.latest == NOW + timedelta(hours=24)
