"""How long a page was read, and what else the tracker tells, in Chromium and in Firefox.

The page has a clock, a veil and a network of the test's own: `advance(ms)` lets time pass,
`veil(on)` puts it in the background, `lose(n, arrives)` loses the next n requests, or their
answers alone.
"""

import re
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import msgspec
import pytest
from playwright.sync_api import Error

from tests.browser import CHROMIUM, open_browser, site
from tests.firefox import FIREFOX, open_firefox
from tests.processes import running, wait_for

HOUR_MS = 3_600_000
HEAD = """<!doctype html><style>body {margin: 0}</style><script>
    let ahead = 0, hidden = false, arriving = false;
    window.losses = 0;
    const loaded = Date.now(), later = setTimeout, call = fetch;
    Date.now = () => loaded + ahead;  // and not a moment more, however slow the machine is
    window.advance = (ms) => { ahead += ms };
    window.setTimeout = (f, ms, ...rest) => later(f, Math.min(ms, 20), ...rest);
    Object.defineProperty(document, "hidden", {get: () => hidden});
    window.veil = (on) => { hidden = on; document.dispatchEvent(new Event("visibilitychange")) };
    addEventListener("pagehide", () => hidden || veil(true));
    addEventListener("pageshow", (event) => event.persisted && veil(false));
    window.use = () => dispatchEvent(new Event("pointermove"));
    window.lose = (n, arrives) => { losses = n; arriving = arrives };
    window.fetch = async (...request) => {
        if (losses < 1) return call(...request);
        losses -= 1;
        if (arriving) await call(...request);
        throw new TypeError("lost");
    };
    window.alert = (text) => { window.said = text };
</script>"""
BODY = """<div style="height: 4000px"><a href="/next?secret=1">next</a>
    <a id="out" href="http://other.example/x?secret=1">out</a><a id="file" href="/a/b.pdf">file</a>
    <button data-footfall="signup"><b>sign up</b></button></div>"""


class Chromium:
    """What of playwright the tests need, as Firefox has it here."""

    def __init__(self, page):
        self._page = page

    def goto(self, url):
        self._page.goto(url)

    def back(self):
        self._page.go_back(wait_until="commit")

    def evaluate(self, expression):
        return self._page.evaluate(expression)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            "chromium", marks=pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here")
        ),
        pytest.param(
            "firefox", marks=pytest.mark.skipif(not FIREFOX, reason="there is no firefox here")
        ),
    ],
)
def world(request, tmp_path_factory):
    """A browser, an ingest, and a site whose pages have the tracker with `attributes`."""
    data_dir = tmp_path_factory.mktemp("data")
    world = SimpleNamespace(data_dir=data_dir, attributes="")

    def page(path):
        tracker = f'<script defer src="{world.ingest}/tracker.js" {world.attributes}></script>'
        return HEAD + tracker + BODY

    with ExitStack() as stack:
        world.ingest = stack.enter_context(running("ingest", data_dir)).url
        world.origin = f"http://blog.example:{stack.enter_context(site(page))}"
        if request.param == "chromium":
            world.browser = Chromium(stack.enter_context(open_browser()).new_page())
        else:
            world.browser = stack.enter_context(open_firefox(tmp_path_factory.mktemp("profile")))
        yield world


@pytest.fixture
def visit(world, request):
    """The browser; each test is a site of its own, and is told what was received of it."""
    site_id = re.sub(r"\W", "-", request.node.name)[-64:]
    world.attributes = f'data-site="{site_id}"'
    visit = world.browser
    visit.origin = world.origin

    def events():
        with suppress(Error):
            visit.evaluate("1")  # lets playwright's handlers run
        content = b"".join(path.read_bytes() for path in (world.data_dir / "spool").iterdir())
        lines = map(msgspec.json.decode, content.splitlines())
        return [line for line in lines if line["site_id"] == site_id]

    def received(count):
        got = wait_for(lambda: len(events()) >= count and events(), f"{count} events")
        assert len(got) == count, got
        return got

    visit.received, visit.events = received, events
    yield visit
    visit.goto("about:blank")


def told(events):
    """In short: a view's path, an engagement's path with its seconds."""
    return [
        (event["path"], round(event["engaged_ms"] / 1000))
        if event["event_type"] == "engagement"
        else event["path"]
        for event in events
    ]


def unordered(short):
    """Requests that are sent in one breath may overtake each other."""
    return sorted(map(str, short))


def test_a_page_that_was_read_and_left_tells_for_how_long_and_how_far(visit):
    visit.goto(visit.origin + "/")
    visit.evaluate("advance(8000); use(); advance(7000); scrollTo(0, 2000)")
    wait_for(lambda: visit.evaluate("scrollY") == 2000, "the page to scroll")
    visit.evaluate("use()")
    visit.goto("about:blank")
    view, engagement = visit.received(2)
    assert (view["event_type"], engagement["event_type"]) == ("page_view", "engagement")
    assert 15_000 <= engagement["engaged_ms"] < 17_000
    assert 50 < engagement["scroll"] < 90
    assert engagement["path"] == "/" and engagement["hostname"] == "blog.example"
    assert "engaged_ms" not in view and "referrer" not in engagement


def test_a_page_that_is_left_open_for_hours_reads_no_book(visit):
    visit.goto(visit.origin + "/")
    visit.evaluate(f"advance({5 * HOUR_MS}); use()")
    visit.goto("about:blank")
    assert told(visit.received(2)) == ["/", ("/", 30)]


def test_a_page_in_use_for_hours_counts_them_and_a_clock_set_back_counts_nothing(visit):
    visit.goto(visit.origin + "/long")
    visit.evaluate("for (let n = 0; n < 720; n += 1) { advance(10000); use() }")
    visit.evaluate("veil(true); advance(-9e6); veil(false); advance(-9e6); veil(true)")
    assert told(visit.received(2)) == ["/long", ("/long", 7200)]


def test_nothing_counts_while_the_page_is_in_the_background(visit):
    visit.goto(visit.origin + "/")
    visit.evaluate("advance(5000); veil(true); advance(9000); use(); advance(9000)")
    visit.evaluate("veil(false); advance(3000); veil(true); veil(true)")
    visit.goto("about:blank")
    assert unordered(told(visit.received(3))) == unordered(["/", ("/", 5), ("/", 3)])


def test_every_route_has_its_own_time_and_depth_and_no_view_comes_twice(visit):
    visit.goto(visit.origin + "/")
    visit.evaluate("advance(5000); scrollTo(0, 9999)")
    wait_for(lambda: visit.evaluate("scrollY") > 2000, "the page to scroll")
    visit.evaluate("use(); history.pushState({}, '', '/a'); scrollTo(0, 0)")
    wait_for(lambda: visit.evaluate("scrollY") == 0, "the page to scroll back")
    visit.evaluate("history.replaceState({}, '', '/a?page=2'); advance(2000)")
    visit.evaluate("history.pushState({}, '', '/b'); advance(3000); veil(true)")
    events = visit.received(6)
    views = ["/", ("/", 5), "/a", ("/a", 2), "/b", ("/b", 3)]
    assert unordered(told(events)) == unordered(views)
    (first,) = (each for each in events if each["path"] == "/" and "scroll" in each)
    assert first["scroll"] == 100
    assert len({event["event_id"] for event in events}) == 6


def test_a_page_that_was_kept_in_memory_counts_again_and_only_what_is_new(visit):
    visit.goto(visit.origin + "/kept")
    visit.evaluate("window.kept = true; advance(5000)")
    visit.goto(visit.origin + "/other")
    visit.evaluate("advance(2000)")
    visit.back()
    wait_for(
        lambda: visit.evaluate("location.pathname == '/kept' && !!window.kept"),
        "the page that was kept",
    )
    visit.received(5)
    visit.evaluate("advance(3000)")
    visit.goto("about:blank")
    assert unordered(told(visit.received(6))) == unordered(
        ["/kept", ("/kept", 5), "/other", ("/other", 2), "/kept", ("/kept", 3)]
    )


@pytest.mark.parametrize("copies", [3, 0], ids=["answers", "requests"])
def test_what_the_network_lost_is_told_again_with_the_same_event_id(visit, copies):
    visit.goto(visit.origin + "/")
    visit.received(1)
    arrives = "true" if copies else "false"
    visit.evaluate(f"lose(3, {arrives}); advance(4000); history.pushState({{}}, '', '/a')")
    events = {event["event_id"]: event for event in visit.received(3 + copies)}
    assert len(events) == 3
    assert unordered(told(events.values())) == unordered(["/", ("/", 4), "/a"])


def test_campaign_click_and_zone_of_the_page_where_a_visit_enters(visit):
    query = "utm_source=news&utm_medium=e%0Amail&utm_campaign=x&gclid=a-person&secret=1&ref=no"
    visit.goto(f"{visit.origin}/?{query}")
    visit.evaluate("advance(1000); history.pushState({}, '', '/a?utm_source=again')")
    entry, engaged, second = sorted(
        visit.received(3), key=lambda each: (each["path"], "engaged_ms" in each)
    )
    assert {name: value for name, value in entry.items() if name.startswith(("utm", "click"))} == {
        "utm_source": "news",
        "utm_medium": "e",
        "utm_campaign": "x",
        "click_id": "gclid",
    }
    assert not {"utm_source", "click_id", "referrer"} & (second.keys() | engaged.keys())
    assert b"a-person" not in b"".join(map(msgspec.json.encode, (entry, engaged, second)))


@pytest.mark.parametrize("name", ["ref", "source"])
def test_ref_and_source_are_a_campaigns_source(visit, name):
    visit.goto(f"{visit.origin}/?{name}=news{'x' * 300}")
    (view,) = visit.received(1)
    assert view["utm_source"] == "news" + "x" * 251


def test_clicks_are_told_where_the_page_asks_for_it(visit, world):
    stay = "addEventListener('click', (event) => event.preventDefault())"
    visit.goto(visit.origin + "/")
    visit.evaluate(f"{stay}; document.querySelector('b').click()")
    visit.evaluate("document.querySelector('#out').click(); advance(1000)")
    world.attributes += """ data-clicks='a[href*="other.example"], a[href$=".pdf"]'"""
    visit.goto(visit.origin + "/asked")
    visit.evaluate(
        f"{stay}; for (const each of ['#out', '#file', 'b', 'a', 'div'])"
        " document.querySelector(each).click()"
    )
    visit.evaluate("footfall('purchase', {revenue: 9.9, currency: 'EUR'})")
    events = visit.received(8)
    events = [event for event in events if event["event_type"] not in ("page_view", "engagement")]
    assert [(event["event_type"], event.get("props")) for event in events] == [
        ("signup", None),
        ("outbound", {"url": "http://other.example/x"}),
        ("download", {"url": visit.origin + "/a/b.pdf"}),
        ("signup", None),
        ("purchase", {"revenue": 9.9, "currency": "EUR"}),
    ]


def test_who_does_not_want_to_be_counted_says_so_on_any_page(visit):
    visit.goto(visit.origin + "/one")
    visit.received(1)
    visit.evaluate("location.hash = '#footfall-off'")
    wait_for(lambda: visit.evaluate("window.said") == "off", "the wish to be confirmed")
    visit.evaluate("footfall('not told')")
    for page in ("/two", "/three"):
        visit.goto(visit.origin + page)
        visit.evaluate("footfall('not told'); advance(9000); veil(true)")
    visit.goto(visit.origin + "/four#footfall-on")
    events = visit.received(2)
    visit.evaluate("localStorage.clear()")
    assert told(events) == ["/one", "/four"]
