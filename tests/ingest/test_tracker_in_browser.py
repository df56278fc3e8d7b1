"""The tracker in a real browser: which events a page sends, seen in the spool of a real ingest."""

import re
from contextlib import suppress
from types import SimpleNamespace

import msgspec
import pytest
from playwright.sync_api import Error

from tests.browser import needs_chromium, open_browser, site
from tests.processes import running, wait_for

pytestmark = needs_chromium

STUB = """<script>window.footfall = window.footfall || function () {
    (footfall.q = footfall.q || []).push(arguments) }</script>"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A browser, an ingest, and a site whose pages have what `head` and `attributes` hold."""
    data_dir = tmp_path_factory.mktemp("data")
    world = SimpleNamespace(data_dir=data_dir)

    def page(path):
        tracker = f'<script defer src="{world.ingest}/tracker.js" {world.attributes}></script>'
        return f"<!doctype html>{world.head}{tracker}<a href='/next?secret=1'>next</a>"

    with running("ingest", data_dir) as ingest, site(page) as port, open_browser() as browser:
        world.ingest = ingest.url
        world.browser = browser
        world.port = port
        yield world


@pytest.fixture
def visit(world, request):
    """Opens pages of blog.example, each test as a site_id of its own; tells what was received."""
    site_id = request.node.name[:64]
    world.attributes, world.head = f'data-site="{site_id}"', ""
    context = world.browser.new_context(timezone_id="Europe/Berlin")
    page = context.new_page()
    page.origin = f"http://blog.example:{world.port}"

    def events():
        with suppress(Error):  # the page may be closed
            page.wait_for_timeout(1)  # lets the handlers of routes run
        content = b"".join(path.read_bytes() for path in (world.data_dir / "spool").iterdir())
        lines = map(msgspec.json.decode, content.splitlines())
        mine = [line for line in lines if line["site_id"] == site_id]
        # how long pages are read is told by tests/ingest/test_engagement_in_browser.py
        return [line for line in mine if line["event_type"] != "engagement"]

    def received(count):
        got = wait_for(lambda: len(events()) >= count and events(), f"{count} events")
        assert len(got) == count, got
        return got

    page.received = received
    yield page
    context.close()


def nothing_else_was_sent(page):
    """An event after all others: had there been more before it, they would have come."""
    page.evaluate("footfall('last')")


def types_and_paths(events):
    return [(event["event_type"], event["path"]) for event in events]


def test_a_load_is_a_page_view_with_path_and_referrer_and_without_their_query_strings(visit):
    visit.goto(f"{visit.origin}/pricing?utm=1#top", referer="http://news.example/item?id=7#c")
    (event,) = visit.received(1)
    assert event["path"] == "/pricing"
    assert event["referrer"].startswith("http://news.example/")
    assert "id=7" not in event["referrer"]
    assert re.fullmatch("d:[0-9a-f]{16}", event["user_id"])
    assert set(event) == {
        *("site_id", "event_type", "path", "referrer", "user_id", "event_id"),
        *("timestamp", "received_at", "hostname", "country", "language", "browser", "bot"),
    }


def test_a_referrer_longer_than_ingest_takes_is_cut_and_the_view_counts(visit):
    visit.goto(visit.origin + "/", referer="http://news.example/" + "a" * 3_000)
    (event,) = visit.received(1)
    assert event["referrer"] == ("http://news.example/" + "a" * 3_000)[:2_048]


def test_ones_own_page_is_not_a_referrer(visit):
    visit.goto(visit.origin + "/")
    visit.click("text=next")
    first, second = visit.received(2)
    assert (first["path"], second["path"]) == ("/", "/next")
    assert "referrer" not in second
    assert first["user_id"] == second["user_id"]
    assert first["event_id"] != second["event_id"]


def test_every_navigation_of_a_single_page_app_is_a_page_view(visit):
    visit.goto(visit.origin + "/", referer="http://news.example/")
    visit.evaluate("history.pushState({}, '', '/a?page=1')")
    visit.evaluate("history.pushState({}, '', '/a?page=2')")  # the same page still
    visit.evaluate("history.replaceState({}, '', '/b')")
    visit.evaluate("history.replaceState({scroll: 9}, '')")  # as frameworks do all the time
    visit.evaluate("history.back()")
    visit.wait_for_url("**/a?page=1")
    nothing_else_was_sent(visit)
    events = visit.received(5)
    assert types_and_paths(events) == [
        ("page_view", "/"),
        ("page_view", "/a"),
        ("page_view", "/b"),
        ("page_view", "/a"),
        ("last", "/a"),
    ]
    # only the first was reached from elsewhere
    assert [event.get("referrer") for event in events] == ["http://news.example/", *[None] * 4]


def test_what_follows_the_hash_is_a_page_only_when_asked_for(visit, world):
    visit.goto(visit.origin + "/#/one")
    visit.evaluate("location.hash = '/two'")
    world.attributes += " data-hash"
    visit.goto(visit.origin + "/app#/one?q=secret")
    visit.evaluate("location.hash = '/two'")
    visit.wait_for_url("**/two")
    nothing_else_was_sent(visit)
    assert types_and_paths(visit.received(4)) == [
        ("page_view", "/"),
        ("page_view", "/app#/one"),
        ("page_view", "/app#/two"),
        ("last", "/app#/two"),
    ]


def test_coming_back_to_a_page_that_was_kept_in_memory_is_a_page_view(visit):
    visit.goto(visit.origin + "/kept")
    visit.evaluate("window.kept = true")
    visit.goto(visit.origin + "/other")
    visit.go_back(wait_until="commit")
    visit.wait_for_function("location.pathname == '/kept' && window.kept")
    assert [event["path"] for event in visit.received(3)] == ["/kept", "/other", "/kept"]


def test_a_custom_event_has_its_props_and_a_call_before_the_tracker_loads_is_kept(visit, world):
    world.head = STUB + "<script>footfall('early', {n: 1}); kept = window.footfall</script>"
    visit.goto(visit.origin + "/")
    visit.evaluate("footfall('signup', {plan: 'pro', trial: true, seats: null})")
    visit.evaluate("kept('late', {n: 2})")  # by the stub, which the page has kept
    view, early, signup, late = visit.received(4)
    assert view["event_type"] == "page_view"
    assert (early["event_type"], early["props"]) == ("early", {"n": 1})
    assert signup["props"] == {"plan": "pro", "trial": True, "seats": None}
    assert "referrer" not in signup
    assert (late["event_type"], late["props"]) == ("late", {"n": 2})


@pytest.mark.parametrize("way", ["close", "leave"])
def test_an_event_sent_in_the_last_moment_is_not_lost(visit, way):
    visit.add_init_script("""const send = fetch; kept = [];
        fetch = (url, options) => { kept.push(options.keepalive); return send(url, options) }""")
    visit.goto(visit.origin + "/")
    visit.received(1)
    # Here a request is out before its page is gone; on a slow line only this keeps it.
    assert visit.evaluate("kept") == [True]
    visit.evaluate("addEventListener('pagehide', () => footfall('bye'))")
    if way == "close":
        visit.close(run_before_unload=True)
    else:
        visit.goto("about:blank")
    assert visit.received(2)[1]["event_type"] == "bye"


def test_a_try_whose_answer_was_lost_is_made_again_with_the_same_event_id(visit):
    tries = []

    def lose_the_first_answer(route):
        tries.append(route.request.post_data)
        if len(tries) == 1:
            route.fetch()  # it arrives
            route.abort()  # but nobody hears of it
        else:
            route.continue_()

    visit.route(re.compile("/event"), lose_the_first_answer)
    visit.goto(visit.origin + "/")
    first, second = visit.received(2)
    assert tries[0] == tries[1]
    assert first["event_id"] == second["event_id"]


def test_no_leave_is_asked_beforehand_and_no_cookie_is_sent_or_set(visit, world):
    requests = []
    network = visit.context.new_cdp_session(visit)  # which shows preflights, too
    network.send("Network.enable")
    network.on("Network.requestWillBeSent", lambda sent: requests.append(sent["request"]))
    visit.goto(visit.origin + "/")
    visit.received(1)

    def to_ingest():
        visit.wait_for_timeout(1)  # lets what the browser tells arrive
        return [each for each in requests if each["url"].startswith(world.ingest + "/event")]

    (post,) = wait_for(to_ingest, "the browser to tell of its request")
    assert post["method"] == "POST"
    headers = {name.lower(): value for name, value in post["headers"].items()}
    assert headers["content-type"] == "text/plain;charset=UTF-8"
    assert "cookie" not in headers
    assert visit.context.cookies() == []
    assert visit.evaluate("localStorage.length + sessionStorage.length") == 0


@pytest.mark.parametrize(
    "wish",
    ["navigator, 'doNotTrack', {value: '1'}", "navigator, 'globalPrivacyControl', {value: true}"],
)
def test_who_does_not_want_to_be_tracked_is_not(visit, world, wish):
    visit.add_init_script(f"if (location.pathname == '/private') Object.defineProperty({wish})")
    visit.goto(visit.origin + "/private")
    nothing_else_was_sent(visit)  # nor is a call an error
    visit.goto(visit.origin + "/public")
    assert types_and_paths(visit.received(1)) == [("page_view", "/public")]


def test_localhost_is_not_counted_unless_asked_for(visit, world):
    for host in ("localhost", "127.0.0.1", "app.localhost"):
        visit.goto(f"http://{host}:{world.port}/")
        nothing_else_was_sent(visit)
    world.attributes += " data-local"
    visit.goto(f"http://localhost:{world.port}/asked")
    assert types_and_paths(visit.received(1)) == [("page_view", "/asked")]


def test_a_prerendered_page_is_counted_when_it_is_shown(visit, world):
    visit.add_init_script("""
        if (location.pathname == '/later') {
            window.prerendering = true;
            Object.defineProperty(document, 'prerendering', {get: () => window.prerendering});
        }""")
    world.head = STUB + "<script>footfall('early')</script>"
    visit.goto(visit.origin + "/later")
    visit.evaluate("footfall('while hidden')")
    visit.goto(visit.origin + "/now")
    visit.received(2)
    visit.goto(visit.origin + "/later")
    visit.evaluate("footfall('while hidden')")
    visit.evaluate("window.prerendering = false")
    visit.evaluate("document.dispatchEvent(new Event('prerenderingchange'))")
    assert types_and_paths(visit.received(5)[2:]) == [
        ("page_view", "/later"),
        ("early", "/later"),
        ("while hidden", "/later"),
    ]


def test_a_refused_event_is_explained_in_the_console(visit):
    said = []
    visit.on("console", lambda message: said.append(message.text))
    visit.goto(visit.origin + "/")
    with visit.expect_console_message(lambda message: "invalid_event" in message.text):
        visit.evaluate("footfall('signup', {nested: {a: 1}})")
    nothing_else_was_sent(visit)
    assert [event["event_type"] for event in visit.received(2)] == ["page_view", "last"]
