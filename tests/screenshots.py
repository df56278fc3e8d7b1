"""Makes the pictures of the README anew.   python -m tests.screenshots

Real events through a real ingest, seeded; the numbers of a year of a small site.
"""

import json
import random
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from playwright.sync_api import Browser

from tests.browser import open_browser
from tests.processes import PROJECT, running

FOLDER = PROJECT / "report" / "screenshots"
BATCH = 5_000
DAYS = 70
VIEWS_A_DAY = 900

PATHS = {
    "/": 30, "/pricing": 14, "/docs": 13, "/docs/install": 9, "/blog/cookies": 8, "/changelog": 5,
    "/docs/tracker": 5, "/blog/ten-bytes-an-event": 5, "/about": 3, "/docs/settings": 3,
    "/blog/one-write-one-turn-of-the-event-loop": 3, "/contact": 1, "/imprint": 1,
}  # fmt: skip
REFERRERS = {
    "": 40, "https://news.ycombinator.com/": 14, "https://www.google.com/": 19,
    "https://duckduckgo.com/": 9, "https://lobste.rs/": 5, "https://github.com/": 8,
    "https://www.bing.com/": 3, "https://mastodon.social/": 2,
}  # fmt: skip
EVENTS = {"signup": 5, "download": 9, "search": 12, "newsletter": 2}


def pick(weights: dict[str, int]) -> str:
    return random.choices(list(weights), list(weights.values()))[0]


def visits(now: datetime) -> Iterator[dict[str, str]]:
    for day in range(DAYS):
        noon = now.replace(hour=13, minute=0) - timedelta(days=day)
        week = 0.55 if noon.weekday() >= 5 else 1.0
        rise = 1.25 - day / DAYS / 2 + (1.6 if day == 9 else 0.7 if day == 8 else 0)
        for _ in range(int(VIEWS_A_DAY * week * rise * random.uniform(0.92, 1.08) / 3)):
            yield from visit(
                noon + timedelta(hours=random.gauss(0, 4.2)), f"{day}-{random.random()}"
            )
    for n in range(7):
        yield from visit(now - timedelta(seconds=20 * n + 30), f"now-{n}")


def visit(moment: datetime, user: str) -> Iterator[dict[str, str]]:
    referrer = pick(REFERRERS)
    for n in range(min(1 + int(random.expovariate(0.5)), 9)):
        kind = pick(EVENTS) if random.random() < 0.05 else "page_view"
        event = {"event_type": kind, "path": pick(PATHS), "user_id": user}
        if not n and referrer:
            event["referrer"] = referrer
        at = moment + timedelta(seconds=n * random.uniform(5, 60))
        yield event | {"site_id": "example.com", "timestamp": at.isoformat()}


def fill(url: str) -> None:
    random.seed(6)
    now = datetime.now(UTC)
    events = [event for event in visits(now) if event["timestamp"] <= now.isoformat()]
    print(f"{len(events):,} events")
    for start in range(0, len(events), BATCH):
        body = json.dumps(events[start : start + BATCH])
        httpx2.post(url + "/events", content=body).raise_for_status()


def picture(
    browser: Browser, url: str, name: str, *, width: int = 1120, height: int, scheme: str = "light"
) -> None:
    size = {"width": width, "height": height}
    with browser.new_context(
        viewport=size, color_scheme=scheme, timezone_id="Europe/Berlin"
    ) as context:
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector("#report[aria-busy=false]", state="attached")
        if name == "light.png":
            box = page.locator("#chart").bounding_box()
            page.mouse.move(box["x"] + 500, box["y"] + 90)
            page.mouse.move(box["x"] + 640, box["y"] + 100)
        page.wait_for_timeout(500)  # for the fading to end
        page.screenshot(path=FOLDER / name)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser:
        data_dir = Path(folder)
        with (
            running("ingest", data_dir, batch_dates_max=366) as ingest,
            running("report", data_dir) as report,
        ):
            picture(browser, report.url, "empty.png", width=800, height=520)
            fill(ingest.url)
            picture(browser, f"{report.url}/?range=30d", "light.png", height=910)
            filtered = f"{report.url}/?range=7d&referrer_host=news.ycombinator.com"
            picture(browser, filtered, "dark.png", height=910, scheme="dark")
            picture(browser, f"{report.url}/?range=today", "narrow.png", width=360, height=910)


if __name__ == "__main__":
    main()
