"""The dashboard in a real browser, over real events."""

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from ingest.sites.tokens import hash_of, new_token
from tests.browser import needs_chromium, open_browser
from tests.processes import running
from tests.report.holding import Folder
from tests.report.holding import event as stored
from tests.report.holding import line as stored_line

pytestmark = needs_chromium

NOW = datetime.now(UTC)
ATTACK = "/<img src=x onerror=alert(1)>"
VIEWS = """
    day  path       user  referrer
      0  /          ann   https://news.example/item
      0  /pricing   ann   -
      0  /          bob   -
     -1  /          ann   https://search.example/
     -3  /docs      cid   https://news.example/other
     -8  /          dan   -
    -50  /old       eve   -
"""


def rows(table):
    header, *lines = [line.split() for line in table.strip().splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def event(day, **fields):
    """At this moment, some days ago; an hour ago could be yesterday."""
    moment = NOW + timedelta(days=int(day))
    return {"site_id": "blog", "timestamp": moment.isoformat(), **fields}


def send(ingest, events):
    response = httpx2.post(ingest.url + "/events", json=events)
    assert response.status_code == 202, response.text


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    events = []
    for row in rows(VIEWS):
        given = {"referrer": row["referrer"]} if row["referrer"] != "-" else {}
        view = {"event_type": "page_view", "path": row["path"], "user_id": row["user"]}
        events.append(event(row["day"], **view, **given))
    events.append(event(0, event_type="signup", path="/pricing", user_id="ann"))
    events.append(event(-1, event_type="page_view", path=ATTACK, site_id="shop", referrer=ATTACK))
    events.append(event(-1, event_type=ATTACK, path=ATTACK, site_id="shop"))
    events += [event(-400, event_type="heartbeat")] * 50  # so that blog stays the largest
    with (
        running("ingest", data_dir) as ingest,
        running("report", data_dir) as report,
        open_browser() as browser,
    ):
        send(ingest, events)
        yield SimpleNamespace(ingest=ingest, report=report, browser=browser)


@pytest.fixture
def page(world):
    """A page in UTC. Whatever the browser complains of fails the test: errors, the policy."""
    context = world.browser.new_context(timezone_id="UTC", base_url=world.report.url)
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.complaints.append(said.text))
    page.hosts = set()
    page.on("request", lambda request: page.hosts.add(request.url.split("/")[2]))
    yield page
    context.close()
    assert page.complaints == []
    assert page.hosts <= {world.report.url.split("/")[2]}


def shows(page, visitors, views):
    expect(page.locator("#visitors")).to_have_text(str(visitors))
    expect(page.locator("#views")).to_have_text(str(views))
    expect(page.locator("#report")).to_have_attribute("aria-busy", "false")


def assert_no_barrier(page):
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


def table(page, name):
    """Its rows as a reader has them."""
    lines = page.get_by_role("region", name=name).locator("tbody tr").all()
    return [
        tuple(cell.inner_text().strip() for cell in line.locator("th, td").all()) for line in lines
    ]


def test_it_opens_with_the_last_7_days_of_the_site_with_most_events(page):
    page.goto("/")
    shows(page, visitors=3, views=5)
    assert page.get_by_label("Site").input_value() == "blog"
    assert page.get_by_label("Range").input_value() == "7d"
    assert page.get_by_label("Time zone").input_value() == "UTC"
    expect(page.locator("#now")).to_have_text("2")  # ann and bob, at this moment
    assert table(page, "Top pages") == [
        ("/", "3", "2"),
        ("/docs", "1", "1"),
        ("/pricing", "1", "1"),
    ]
    assert table(page, "Top referrers") == [
        ("news.example", "2", "2"),
        ("Direct or internal", "2", "2"),
        ("search.example", "1", "1"),
    ]
    assert table(page, "Top events") == [("signup", "1", "1")]
    expect(page.locator("#views-change")).to_have_text("↑ 400% so far · 1 in the 7 days before")


@pytest.mark.parametrize(
    "range, visitors, views, before",
    [
        ("today", 2, 3, "↑ 200% so far · 1 yesterday"),
        ("yesterday", 1, 1, "none on the day before"),
        ("7d", 3, 5, "↑ 400% so far · 1 in the 7 days before"),
        ("30d", 4, 6, "↑ 500% so far · 1 in the 30 days before"),
        ("12m", 5, 7, "none in the 12 months before"),
        ("all", 5, 7, "since"),
    ],
)
def test_every_range_has_its_figures_and_those_of_the_time_before(
    page, range, visitors, views, before
):
    page.goto(f"/?site_id=blog&range={range}")
    shows(page, visitors, views)
    expect(page.locator("#views-change")).to_contain_text(before)


def test_a_click_on_a_value_filters_the_rest_and_a_second_click_ends_it(page):
    page.goto("/")
    shows(page, visitors=3, views=5)
    page.get_by_role("button", name="news.example").click()
    shows(page, visitors=2, views=2)
    assert table(page, "Top pages") == [("/", "1", "1"), ("/docs", "1", "1")]
    assert len(table(page, "Top referrers")) == 3  # so that one can go on to another
    page.get_by_role("button", name="Direct or internal").click()
    shows(page, visitors=2, views=2)
    assert table(page, "Top pages") == [("/", "1", "1"), ("/pricing", "1", "1")]
    page.get_by_role("button", name="/pricing", exact=True).click()
    shows(page, visitors=1, views=1)
    assert page.url.endswith("&path=%2Fpricing&referrer_host=")
    page.get_by_role("button", name="Remove the filter Referrer: none").click()
    shows(page, visitors=1, views=1)
    page.get_by_role("button", name="/pricing", exact=True).first.click()
    shows(page, visitors=3, views=5)
    expect(page.get_by_role("list", name="Filters")).to_be_hidden()


def test_an_event_can_be_looked_at_as_page_views_are(page):
    page.goto("/")
    page.get_by_role("button", name="signup").click()
    shows(page, visitors=1, views=1)
    expect(page.locator("#views-label")).to_have_text("Events")
    assert table(page, "Top pages") == [("/pricing", "1", "1")]


def test_the_address_holds_the_state_and_the_back_button_goes_back(page):
    page.goto("/")
    shows(page, visitors=3, views=5)
    page.get_by_label("Range").select_option("30 days")
    shows(page, visitors=4, views=6)
    page.get_by_label("Site").select_option("shop")
    shows(page, visitors=0, views=1)
    address = page.url
    page.go_back()
    shows(page, visitors=4, views=6)
    assert page.get_by_label("Site").input_value() == "blog"
    page.go_back()
    shows(page, visitors=3, views=5)
    page.goto(address)
    shows(page, visitors=0, views=1)
    assert page.get_by_label("Range").input_value() == "30d"


def test_a_range_of_ones_own_is_chosen_by_its_two_dates(page):
    page.goto("/")
    shows(page, visitors=3, views=5)
    page.get_by_label("Range").select_option("Custom")
    page.get_by_label("From").fill((NOW - timedelta(days=50)).date().isoformat())
    shows(page, visitors=5, views=7)
    page.get_by_label("To", exact=True).fill((NOW - timedelta(days=8)).date().isoformat())
    shows(page, visitors=2, views=2)


def test_days_are_those_of_the_chosen_zone(page, world):
    day = (NOW - timedelta(days=20)).date()
    late = {"timestamp": f"{day}T23:30:00Z", "site_id": "zones", "event_type": "page_view"}
    send(world.ingest, [event(0) | late])
    page.goto(f"/?site_id=zones&range=custom&from={day}&to={day}&tz=UTC")
    shows(page, visitors=0, views=1)
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    shows(page, visitors=0, views=0)
    expect(page.get_by_text("No page views in this time.")).to_be_visible()
    page.get_by_role("button", name="Show all time").click()
    shows(page, visitors=0, views=1)


def test_the_chart_is_read_by_pointer_and_by_keyboard(page):
    page.goto("/")
    shows(page, visitors=3, views=5)
    chart = page.get_by_role("slider", name="Views and visitors over time")
    readout = page.locator("#readout")
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 100)
    expect(readout).to_contain_text(": 3 views, 2 visitors")
    page.mouse.move(0, 0)
    expect(readout).not_to_contain_text("views")
    chart.focus()
    page.keyboard.press("End")
    expect(readout).to_contain_text(": 3 views, 2 visitors")
    page.keyboard.press("ArrowLeft")
    expect(readout).to_contain_text(": 1 view, 1 visitor")
    assert readout.inner_text() == chart.get_attribute("aria-valuetext")


def test_it_can_be_used_by_keyboard_alone(page):
    page.goto("/")
    shows(page, visitors=3, views=5)
    page.get_by_label("Site").focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.value") == "/docs":
            break
    page.keyboard.press("Enter")
    shows(page, visitors=1, views=1)
    assert page.evaluate("document.activeElement.dataset.value") == "/docs"  # where it was
    page.keyboard.press("Space")
    shows(page, visitors=3, views=5)


def test_it_follows_what_happens_by_itself(page, world):
    send(world.ingest, [event(0, event_type="page_view", site_id="busy", user_id="ann")])
    page.clock.install()
    page.goto("/?site_id=busy&range=today")
    shows(page, visitors=1, views=1)
    send(world.ingest, [event(0, event_type="page_view", site_id="busy", user_id="bob")])
    page.clock.fast_forward(60_000)
    shows(page, visitors=2, views=2)
    expect(page.locator("#now")).to_have_text("2")


def test_what_visitors_send_is_shown_as_text(page):
    page.goto("/?site_id=shop")
    shows(page, visitors=0, views=1)
    assert table(page, "Top pages") == [(ATTACK, "1", "0")]
    assert table(page, "Top events") == [(ATTACK, "1", "0")]
    page.get_by_role("region", name="Top pages").get_by_role("button").click()
    expect(page.get_by_role("list", name="Filters")).to_have_text(f"Page:{ATTACK}")
    assert page.locator("img").count() == 0


def test_more_rows_come_when_asked_for(page, world):
    paths = [f"/{n:02d}" for n in range(25)]
    send(world.ingest, [event(0, event_type="page_view", site_id="wide", path=p) for p in paths])
    page.goto("/?site_id=wide")
    shows(page, visitors=0, views=25)
    assert [row[0] for row in table(page, "Top pages")] == paths[:10]
    page.get_by_role("button", name="More page").click()
    expect(page.get_by_role("button", name="/24")).to_be_visible()
    assert [row[0] for row in table(page, "Top pages")] == paths
    expect(page.get_by_role("button", name="More page")).to_be_hidden()


# When there is nothing to show


def test_a_new_installation_is_told_how_to_send_its_first_event(world, tmp_path):
    with (
        running("ingest", tmp_path) as ingest,
        running("report", tmp_path) as report,
        world.browser.new_context(base_url=report.url) as context,
    ):
        page = context.new_page()
        page.clock.install()
        page.goto("/")
        expect(page.get_by_role("heading", name="No events yet")).to_be_visible()
        expect(page.locator("#report")).to_be_hidden()
        assert_no_barrier(page)
        send(ingest, [event(0, event_type="page_view", path="/first")])
        page.clock.fast_forward(60_000)
        shows(page, visitors=0, views=1)


def test_a_site_that_is_not_there_yet_is_named(page):
    page.goto("/?site_id=elsewhere")
    expect(page.get_by_role("heading", name="No events of elsewhere yet")).to_be_visible()
    expect(page.locator("pre").first).to_contain_text('data-site="elsewhere"')


def test_a_site_is_shown_however_many_others_have_more_events(world, tmp_path):
    """The list of sites that one can choose from ends somewhere; the reports do not."""
    folder = Folder(tmp_path)
    busy = (f"busy-{n:04}" for n in range(1_100))
    folder.segment(stored_line(stored(NOW, site_id=site)) for site in busy for _ in "12")
    folder.holds(stored(NOW - timedelta(days=40), site_id="quiet", path="/old"), where="open")
    with (
        running("report", tmp_path) as report,
        world.browser.new_context(base_url=report.url, timezone_id="UTC") as context,
    ):
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.goto("/?site_id=quiet&range=all")
        shows(page, visitors=0, views=1)
        expect(page.get_by_role("heading", name="No events of quiet yet")).to_be_hidden()
        assert page.get_by_label("Site").input_value() == "quiet"
        page.get_by_label("Range").select_option("7 days")
        expect(page.get_by_text("The last event was on")).to_be_visible()


def test_when_the_api_does_not_answer_it_says_so_and_tries_again(page):
    page.goto("/")
    shows(page, visitors=3, views=5)
    page.route(re.compile("/stats"), lambda route: route.abort())
    page.get_by_label("Range").select_option("30 days")
    expect(page.get_by_role("alert")).to_contain_text("Footfall does not answer.")
    page.unroute(re.compile("/stats"))
    page.get_by_role("button", name="Try again").click()
    shows(page, visitors=4, views=6)
    expect(page.get_by_role("alert")).to_be_hidden()
    assert all("ERR_FAILED" in complaint for complaint in page.complaints)
    page.complaints.clear()


def test_a_closed_api_asks_for_its_token_and_the_tab_keeps_it(world, tmp_path):
    with (
        running("report", tmp_path, token="open sesame") as report,
        world.browser.new_context(base_url=report.url) as context,
    ):
        page = context.new_page()
        page.goto("/")
        token = page.get_by_label("Token")
        expect(token).to_be_focused()
        assert_no_barrier(page)
        token.fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("This is not the right token.")).to_be_visible()
        token.fill("open sesame")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="No events yet")).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name="No events yet")).to_be_visible()
        assert page.evaluate("localStorage.length") == 0
        assert "sesame" not in page.url


def test_a_shared_link_opens_its_site_and_its_token_is_in_no_address(world, tmp_path):
    token = new_token()
    sites = f'[blog]\nreaders = ["{hash_of(token.encode())}"]\n[open]\npublic = true\n[shut]\n'
    (tmp_path / "sites.toml").write_text(sites)
    folder = Folder(tmp_path)
    folder.holds(*(stored(NOW, site_id=site) for site in ("blog", "open", "shut")))
    with (
        running("report", tmp_path, token="operator", sites=tmp_path / "sites.toml") as report,
        world.browser.new_context(base_url=report.url) as context,
    ):
        page = context.new_page()
        asked = []
        page.on("request", lambda request: asked.append((request.url, request.all_headers())))

        page.goto("/?site_id=open")  # which everybody may read
        shows(page, visitors=0, views=1)
        page.goto(f"/?site_id=blog#token={token}")
        shows(page, visitors=0, views=1)
        assert "#" not in page.url and token not in page.evaluate("history.state + document.title")
        options = page.get_by_label("Site").locator("option").all_inner_texts()
        assert options == ["blog"]
        page.reload()
        shows(page, visitors=0, views=1)
        page.goto("/?site_id=shut")
        expect(page.get_by_role("alert")).to_contain_text("Your token is for other sites.")

        page.evaluate("sessionStorage.clear()")
        page.goto("/?site_id=blog")
        expect(page.get_by_label("Token")).to_be_focused()
        page.evaluate(f"location.hash = 'token={token}'")  # the link, where the page is open
        shows(page, visitors=0, views=1)
        assert "#" not in page.url
        assert page.evaluate("localStorage.length") == 0 and context.cookies() == []
        told = [(url, headers.get("referer", "")) for url, headers in asked]
        assert len(told) > 20 and token not in str(told)
        assert token not in report.log.read_text()


# For everyone


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_axe_finds_no_barrier(world, scheme, width):
    size = {"width": width, "height": 900}
    with world.browser.new_context(
        base_url=world.report.url, viewport=size, color_scheme=scheme, timezone_id="UTC"
    ) as context:
        page = context.new_page()
        page.goto("/?range=custom&from=2020-01-01&to=2030-01-01&path=%2F")
        shows(page, visitors=3, views=4)
        assert_no_barrier(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_lives_under_its_policy(page):
    page.goto("/")
    shows(page, visitors=3, views=5)
    assert (
        page.evaluate("""() => new Promise(resolve => {
        addEventListener('securitypolicyviolation', event => resolve(event.violatedDirective));
        const script = document.createElement('script');
        script.textContent = 'document.title = "owned"';
        document.body.append(script);
        setTimeout(resolve, 2000, 'it ran');
    })""")
        == "script-src-elem"
    )
    page.complaints.clear()  # it is this one
    assert page.title() == "blog · Footfall"
