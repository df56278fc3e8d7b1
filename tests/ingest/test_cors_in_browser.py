"""What a real browser lets a page of another origin send, and read of the answer."""

import pytest

from tests.browser import needs_chromium, open_browser, site
from tests.processes import running

pytestmark = needs_chromium

FETCH = """async ([url, type]) => {
    const event = { site_id: 'blog', event_type: 'page_view', path: location.hostname + '/' + type }
    const asked = { method: 'POST', headers: { 'Content-Type': type }, body: JSON.stringify(event) }
    try {
        const response = await fetch(url + '/event', asked)
        return [response.status, (await response.json()).status]
    } catch (error) { return error.name }
}"""


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


def fetch(browser, host, ingest, content_type):
    """From a page of `host`: the status and the answer, or the error that scripts get."""
    with site(lambda path: "<!doctype html>") as port:
        page = browser.new_page()
        page.goto(f"http://{host}:{port}/")
        return page.evaluate(FETCH, [ingest.url, content_type])


def spooled(data_dir):
    return b"".join(path.read_bytes() for path in (data_dir / "spool").glob("1*")).decode()


def test_any_page_may_send_json_after_a_preflight_and_text_without_one(tmp_path, browser):
    with running("ingest", tmp_path) as ingest:
        for content_type in ("application/json", "text/plain"):
            answer = fetch(browser, "blog.example", ingest, content_type)
            assert answer == [202, "accepted"], content_type
            assert f"blog.example/{content_type}" in spooled(tmp_path)


def test_a_page_of_an_origin_that_is_not_allowed_cannot_send_json(tmp_path, browser):
    with running("ingest", tmp_path, cors_origins="https://shop.example") as ingest:
        assert fetch(browser, "blog.example", ingest, "application/json") == "TypeError"
        assert spooled(tmp_path) == ""
