"""What a goal, a funnel and a segment of sites.toml can be."""

import msgspec
import pytest

from ingest.sites.goals import Funnel, Goal, Segment


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"event": "signup"}, "event"),
        ({"event": "signup", "props": {"plan": "pro", "seats": 3}, "revenue": "amount"}, "event"),
        ({"page": "/docs/**"}, "page"),
        ({"scroll": 90}, "scroll"),
        ({"scroll": 90, "page": "/blog/*"}, "scroll"),
    ],
)
def test_a_goal_is_an_event_a_page_or_a_scroll(given, kind):
    assert msgspec.convert({"name": "G"} | given, Goal).kind == kind


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "needs one of event, page and scroll"),
        ({"event": "signup", "page": "/"}, "exactly one"),
        ({"event": "signup", "scroll": 3}, "exactly one"),
        ({"scroll": 90, "revenue": "amount"}, "neither props nor revenue"),
        ({"scroll": 101}, "<= 100"),
        ({"page": "/", "goal": "x"}, "unknown field `goal`"),
    ],
)
def test_what_is_no_goal_is_refused_with_its_reason(given, words):
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert({"name": "G"} | given, Goal)


def test_a_funnel_has_two_steps_and_a_day_unless_it_says_more():
    funnel = msgspec.convert({"name": "Buy", "steps": ["Pricing", "Signup"]}, Funnel)
    assert (funnel.window_s, funnel.unit, funnel.order) == (86_400, "visitor", "sequential")
    with pytest.raises(msgspec.ValidationError, match="length >= 2"):
        msgspec.convert({"name": "Buy", "steps": ["Pricing"]}, Funnel)


def test_a_segment_keeps_its_filters_as_they_are_written():
    filters = [["and", [["is", "visit:device", ["mobile"]], ["not", ["is", "visit:os", ["iOS"]]]]]]
    segment = msgspec.convert({"name": "Phones", "filters": filters}, Segment)
    assert list(segment.filters) == filters
