"""Parsing a segment at once and reading it line by line come to the same, whatever is in it."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from compactor.segments.reader import _read_at_once, _read_line_by_line, connect, read_segments
from ingest.receipt import Receipt, to_line
from ingest.refusal import Refused

RECEIPT = Receipt(datetime(2026, 11, 22, 8, 0, 0, 123456, UTC))
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
EVENTS = st.fixed_dictionaries(
    {"site_id": TEXT, "event_type": st.sampled_from(["page_view", "12", "true", 'a"b\\'])},
    optional={
        "path": TEXT,
        "user_id": TEXT,
        "event_id": st.integers(0, 999).map(str),
        "referrer": st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=4),
        "timestamp": st.datetimes(
            datetime(1970, 1, 2), datetime(2026, 11, 22), timezones=st.just(UTC)
        ).map(lambda t: (t if t.second % 2 else t.replace(microsecond=0)).isoformat()),
        "utm_source": TEXT,
        "device": st.sampled_from(["desktop", "tv"]),
        "country": st.sampled_from(["DE", "AT"]),
        "engaged_ms": st.integers(0, 86_400_000),
        "scroll": st.integers(0, 100),
        "props": st.dictionaries(st.text("ab:{}[]N\\", max_size=3), VALUES, max_size=3),
    },
)
GOOD = (
    b'{"site_id":"a","event_type":"b","path":"/1","timestamp":"2026-11-22T08:00:00Z",'
    b'"received_at":"2026-11-22T08:00:00.123456Z"}\n'
)
FOREIGN = [
    b"\n",
    b"{}\n",
    b"null\n",
    b"[]\n",
    b'""\n',
    b"12\n",
    b'{"foo":1}\n',
    GOOD.replace(b'"/1"', b"12"),
    GOOD.replace(b'"/1"', b"true"),
    GOOD.replace(b'"/1"', b"null"),
    GOOD.replace(b'"/1"', b'""'),
    GOOD.replace(b'"/1"', b'"\\u0000"'),
    GOOD.replace(b'"path":"/1"', b'"device":"toaster"'),
    GOOD.replace(b'"path":"/1"', b'"device":"desktops"'),
    GOOD.replace(b'"path":"/1"', b'"country":"de"'),
    GOOD.replace(b'"path":"/1"', b'"language":"DE"'),
    GOOD.replace(b'"path":"/1"', b'"scroll":101'),
    GOOD.replace(b'"path":"/1"', b'"scroll":1.0'),
    GOOD.replace(b'"path":"/1"', b'"scroll":"1"'),
    GOOD.replace(b'"path":"/1"', b'"engaged_ms":-1'),
    GOOD.replace(b'"path":"/1"', b'"time_zone":"UTC"'),
    GOOD.replace(b'"/1","', b'12,  "'),  # two quotes less, two blanks more
    GOOD.replace(b'"path"', b'"pakh"'),
    GOOD.replace(b'"path":"/1"', b'"props":[1,2]'),
    GOOD.replace(b'"path":"/1"', b'"props":"abc"'),
    GOOD.replace(b'"path":"/1"', b'"props":{"a":NaN}'),
    GOOD.replace(b'"path":"/1"', b'"props":{"a":[]}'),
    GOOD.replace(b'"path":"/1"', b'"props":{"a":1,"a":2}'),
    GOOD.replace(b'"path":"/1"', b'"props":{"a":1e16,"b":1E5,"c":-0.0}'),
    GOOD.replace(b'"path":"/1"', b'"props":null'),
    GOOD.replace(b'"a"', b'"' + b"x" * 65 + b'"'),
    GOOD.replace(b'"a"', b'"' + "é".encode() * 64 + b'"'),
    GOOD.replace(b"T08:00:00Z", b" 08:00:00Z"),
    GOOD.replace(b"T08:00:00Z", b"T24:00:00Z"),
    GOOD.replace(b"T08:00:00Z", b"T08:00:60Z"),
    GOOD.replace(b"T08:00:00Z", b"t08:00:00z"),
    GOOD.replace(b"T08:00:00.123456Z", b"T08:00:00.1234+00"),
    GOOD.replace(b"2026-11-22T08:00:00Z", b"0000-11-22T08:00:00Z"),
    GOOD.replace(b"2026-11-22T08:00:00Z", b"infinity"),
    GOOD.replace(b"}\n", b"}\r\n"),
    GOOD.replace(b"}\n", b"}}\n"),
    GOOD.replace(b"}\n", b"}"),
    b"\xef\xbb\xbf" + GOOD,
    bytes(512),
    b"\xff\xfe\n",
]


def lines_of(events):
    for event in events:
        with suppress(Refused):
            yield to_line(msgspec.json.encode(event), RECEIPT)


def agree(database, path, content):
    path.write_bytes(content)
    found, expected = read_segments(database, [path]), _read_line_by_line(content)
    assert found.table.to_pylist() == expected.table.to_pylist()
    assert found.line.to_pylist() == expected.line.to_pylist()
    assert found.damaged == expected.damaged


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("read") / "segment.jsonl"


@pytest.fixture(scope="module")
def database():
    with connect() as database:
        yield database


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(EVENTS, min_size=1, max_size=5))
@example([{"site_id": "a", "event_type": "b", "props": {"x": 1e16, "y": 1e-7, "z": 2**63}}])
def test_what_ingest_writes_is_parsed_at_once(database, path, events):
    content = b"".join(lines_of(events))
    path.write_bytes(content)
    if content:
        _read_at_once(database, [path])  # raises if anything looks odd to it
    agree(database, path, content)


@settings(max_examples=1_500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(EVENTS, min_size=1, max_size=4), st.data())
def test_damage_is_seen_alike(database, path, events, data):
    content = bytearray(b"".join(lines_of(events)) or GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        damage(content, data)
    agree(database, path, bytes(content))


def damage(content, data):
    at = data.draw(st.integers(0, max(0, len(content) - 1)))
    match data.draw(st.sampled_from(["flip", "swap", "set", "cut", "insert", "zero"])):
        case "flip" if content:
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        case "swap" if content:
            other = data.draw(st.integers(0, len(content) - 1))
            content[at], content[other] = content[other], content[at]
        case "set" if content:
            content[at] = data.draw(st.sampled_from(b'0123456789"\\{}[]:,. \neE-+ntfNI'))
        case "cut":
            del content[at : at + data.draw(st.integers(1, 40))]
        case "insert":
            content[at:at] = data.draw(
                st.sampled_from([b" ", b"\n", b'"', b",", b'"x":1,', b"\\", b"12", b"null"])
            )
        case "zero":
            content[at : at + 64] = bytes(len(content[at : at + 64]))


@pytest.mark.parametrize("line", FOREIGN, ids=lambda line: line[:100].decode("latin-1"))
def test_a_foreign_line_costs_itself_alone(database, path, line):
    for content in (line, GOOD + line, line + GOOD, GOOD + line + GOOD):
        agree(database, path, content)


def test_no_line_makes_up_for_another(database, path):
    for one in FOREIGN:
        agree(database, path, one + b"".join(FOREIGN))
        for other in FOREIGN:
            agree(database, path, one + GOOD + other)


def test_two_segments_do_not_make_up_for_each_other(database, path):
    other = path.with_name("other.jsonl")
    path.write_bytes(GOOD.rstrip())
    other.write_bytes(b"\n" + GOOD)
    rows = read_segments(database, [path, other])
    assert rows.segment.to_pylist() == [0, 1]
    assert rows.line.to_pylist() == [1, 2]
    assert [line.line for line in rows.damaged[1]] == [1]


def test_the_time_of_an_event_is_kept_to_the_microsecond(database, path):
    path.write_bytes(GOOD)
    (row,) = read_segments(database, [path]).table.to_pylist()
    assert row["timestamp"] == datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert row["received_at"] - row["timestamp"] == timedelta(microseconds=123456)
