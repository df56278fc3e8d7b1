"""The whole product as a visitor and its owner see it: a page with the tracker, the dashboard."""

import httpx2
from playwright.sync_api import expect

from tests.browser import needs_chromium, open_browser, site
from tests.processes import running, stats, wait_for

pytestmark = needs_chromium

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0"


def test_a_visit_a_navigation_and_a_custom_event_are_what_the_dashboard_shows(tmp_path):
    with (
        running("ingest", tmp_path, workers=2) as ingest,
        running("report", tmp_path) as report,
        site(lambda path: page_with_tracker(ingest)) as port,
        open_browser() as browser,
    ):
        visitor = browser.new_context(user_agent=AGENT % 153).new_page()
        visitor.goto(f"http://blog.example:{port}/", referer="http://news.example/item?id=7")
        visitor.evaluate("history.pushState(null, '', '/pricing?plan=pro')")
        # in one breath: the event is sent, and the tab is gone
        visitor.evaluate("addEventListener('pagehide', () => footfall('signup', {plan: 'pro'}))")
        visitor.close(run_before_unload=True)
        other = browser.new_context(user_agent=AGENT % 154).new_page()
        other.goto(f"http://blog.example:{port}/")
        everything = {"page_view": 3, "signup": 1, "engagement": 2}
        wait_for(lambda: received(report) == everything, "what happened")

        owner = browser.new_context().new_page()
        owner.goto(report.url + "/?range=today&tz=UTC")
        expect(owner.locator("#visitors")).to_have_text("2")
        expect(owner.locator("#views")).to_have_text("3")
        expect(owner.locator("#now")).to_have_text("2")
        expect(owner.locator("#report")).to_have_attribute("aria-busy", "false")
        assert rows(owner, "Top pages") == ["/ 2 2", "/pricing 1 1"]
        assert rows(owner, "Top referrers") == ["Direct or internal 2 2", "news.example 1 1"]
        assert rows(owner, "Top events") == ["signup 1 1"]
        owner.get_by_role("button", name="signup").click()
        expect(owner.locator("#views-label")).to_have_text("Events")
        expect(owner.locator("#visitors")).to_have_text("1")
        assert (
            stats(report, "blog.example", event_type="signup", path="/pricing")["total_views"] == 1
        )


def page_with_tracker(ingest):
    return (
        "<!doctype html><title>A page</title>"
        f'<script defer src="{ingest.url}/tracker.js" data-site="blog.example"></script>'
    )


def received(report):
    parameters = {"site_id": "blog.example", "by": "event_type"}
    answer = httpx2.get(report.url + "/stats/breakdown", params=parameters).json()
    return {row["value"]: row["views"] for row in answer["rows"]}


def rows(page, name):
    lines = page.get_by_role("region", name=name).locator("tbody tr").all()
    return [" ".join(line.inner_text().split()) for line in lines]
