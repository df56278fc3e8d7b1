"""Where from, with what and how long: the columns a sender may fill, and what each refuses."""

from datetime import UTC, datetime

import msgspec
import pytest

from ingest.event import COLUMNS, decode_line
from ingest.receipt import Receipt, to_line
from ingest.refusal import Refusal, Refused

EVENT = {"site_id": "blog", "event_type": "page_view"}
FACTS = {
    "hostname": "www.example.com",
    "utm_source": "news",
    "utm_medium": "email",
    "utm_campaign": "spring",
    "utm_content": "top",
    "utm_term": "shoes",
    "click_id": "gclid",
    "browser": "Firefox",
    "os": "Linux",
    "device": "desktop",
    "bot": "ai",
    "country": "DE",
    "language": "de",
    "engaged_ms": 12_000,
    "scroll": 70,
}


def line(**fields):
    body = msgspec.json.encode(EVENT | fields)
    return to_line(body, Receipt(datetime(2026, 11, 25, tzinfo=UTC)))


def test_every_column_of_the_second_format_may_be_sent_and_is_kept():
    stored = decode_line(line(**FACTS))
    assert {name: getattr(stored, name) for name in FACTS} == FACTS
    assert [column.name for column in COLUMNS if column.since == 2] == list(FACTS)


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("hostname", "", "length >= 1"),
        ("hostname", "a" * 254, "length <= 253"),
        ("utm_term", "a" * 256, "length <= 255"),
        ("click_id", "EAIaIQobChMI", "fbclid, gbraid, gclid"),
        ("browser", "a" * 33, "length <= 32"),
        ("device", "toaster", "console, desktop, mobile, other, tablet, tv"),
        ("bot", "evil", "ai, feed, headless, monitor"),
        ("country", "de", "two capital letters"),
        ("country", "DE\n", "two capital letters"),
        ("language", "de-AT", "two or three letters"),
        ("engaged_ms", -1, ">= 0"),
        ("engaged_ms", 86_400_001, "<= 86400000"),
        ("scroll", 101, "<= 100"),
        ("scroll", 99.5, "Expected `int"),
        ("utm_source", "a\tb", "control characters"),
    ],
)
def test_what_a_column_does_not_take_is_refused_with_what_it_does(name, value, expected):
    with pytest.raises(Refused) as caught:
        line(**{name: value})
    assert caught.value.refusal is Refusal.INVALID_EVENT
    assert expected in caught.value.detail and f"$.{name}`" in caught.value.detail


def test_a_time_zone_is_taken_and_not_kept():
    assert b"Berlin" not in line(time_zone="Europe/Berlin")
    with pytest.raises(msgspec.ValidationError):
        decode_line(line()[:-2] + b',"time_zone":"Europe/Berlin"}')
