"""What a user agent says: browser, system, kind of device; or that it is a robot, and of what kind.

    person   browser, os and device, where known; bot null
    robot    bot is its class; browser its name, if it is a known one; nothing else that it claims

Names come from closed tables, never from the agent itself, so nothing of it is kept. The work is
is-crawler's (16 µs for a browser, 1 ms for the worst of 512 bytes); an agent seen before costs one
look-up.
"""

from functools import cache
from typing import NamedTuple

from is_crawler.database import CrawlerInfo, crawler_info, iter_crawlers
from is_crawler.detection import crawler_contact, crawler_url, is_crawler
from is_crawler.parser import UserAgent, parse

from ingest.context.names import (
    BOTS,
    BROWSERS,
    DEVICES,
    FIRE_TV,
    MARKS,
    PHONES_OF_OLD,
    SYSTEM_MARKS,
    SYSTEMS,
    TELEVISIONS,
    UNMARKED,
)
from ingest.event import Bot, Device

AGENT_BYTES_MAX = 512  # what stands further back is not looked at
AGENTS_MAX = 8_192  # that a process remembers
NAME_CHARS_MAX = 32


class Agent(NamedTuple):
    """All None: nothing is known of it."""

    browser: str | None = None
    os: str | None = None
    device: Device | None = None
    bot: Bot | None = None


NOTHING_OF_A_BROWSER = Agent(device="other")

_known: dict[bytes, Agent] = {}


def classify(user_agent: bytes) -> Agent:
    """What is known of it, as it stands in the header, which may be anything."""
    found = _known.get(user_agent)
    return _classify_anew(user_agent) if found is None else found


def _classify_anew(user_agent: bytes) -> Agent:
    if len(user_agent) > AGENT_BYTES_MAX:
        return classify(user_agent[:AGENT_BYTES_MAX])
    if len(_known) >= AGENTS_MAX:
        forget()
    _known[user_agent] = found = _look_at(user_agent.decode("latin-1"))
    return found


def forget() -> None:
    """Agents are of people: neither this nor what is-crawler remembers grows, or stays."""
    _known.clear()
    for remembered in (crawler_info, is_crawler, crawler_url, crawler_contact, parse):
        remembered.cache_clear()


def prepare() -> None:
    """Load what the first agent would wait for, a tenth of a second."""
    classify(b"unknown/1.0 robot")
    _names()


def _look_at(text: str) -> Agent:
    text = text.replace("CUBOT", "CUBO")  # a brand of phones, and no robot
    if is_crawler(text):
        robot = crawler_info(text)
        if robot is not None:
            return _known_robot(robot)
        if not any(phone in text.lower() for phone in PHONES_OF_OLD):
            return Agent(bot="other")
    for mark, (name, bot) in UNMARKED.items():
        if mark in text:
            return Agent(browser=name, bot=bot)
    parsed = parse(text)
    found = Agent(_browser(parsed, text), _system(parsed, text), _device(parsed, text))
    return Agent(bot="other") if found == NOTHING_OF_A_BROWSER else found


def _known_robot(robot: CrawlerInfo) -> Agent:
    bot: Bot = next((bot for tag, bot in BOTS.items() if tag in robot.tags), "other")
    return Agent(browser=_names().get(robot), bot=bot)


@cache
def _names() -> dict[CrawlerInfo, str]:
    names: dict[CrawlerInfo, str] = {}
    for robot, name in iter_crawlers():
        names.setdefault(robot, name[:NAME_CHARS_MAX].rstrip())
    return names


def _browser(parsed: UserAgent, text: str) -> str | None:
    for mark, browser in MARKS.items():
        if mark in text:
            return browser
    found = BROWSERS.get(parsed.browser or "")
    return "Android Browser" if found == "Safari" and "Android" in text else found


def _system(parsed: UserAgent, text: str) -> str | None:
    for mark, system in SYSTEM_MARKS.items():
        if mark in text:
            return system
    return SYSTEMS.get(parsed.os or "")


def _device(parsed: UserAgent, text: str) -> Device:
    lower = text.lower()
    device = DEVICES.get(parsed.device or "", "other")
    if device == "console" or "playstation" in lower:
        return "console"
    if any(word in lower for word in TELEVISIONS) or FIRE_TV.search(text):
        return "tv"
    if device in ("other", "desktop") and any(phone in lower for phone in PHONES_OF_OLD):
        return "mobile"
    if "Opera Mini" in text and device == "tablet" and "iPad" not in text:
        return "mobile"  # it does not say so itself
    if "Tablet PC" in text or (device == "other" and "Mac_PowerPC" in text):
        return "desktop"  # which windows with a pen called themselves
    return device
