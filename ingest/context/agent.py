"""What a user agent says: browser, system, kind of device; or that it is a robot, and of what kind.

    person   browser, os and device, where known; bot null
    robot    bot is its class; browser its name, if it is a known one; nothing else that it claims

Names come from closed tables, never from the agent itself, so nothing of it is kept. The work is
is-crawler's (16 µs for a browser, 1 ms for the worst of 512 bytes); an agent seen before costs one
look-up.
"""

import re
from functools import cache
from typing import NamedTuple

from is_crawler.database import CrawlerInfo, crawler_info, iter_crawlers
from is_crawler.detection import crawler_contact, crawler_url, is_crawler
from is_crawler.parser import UserAgent, parse

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


BOTS: dict[str, Bot] = {  # by is-crawler's tags; of several the first decides
    "ai-crawler": "ai",
    "ai-fetcher": "ai",
    "feed-reader": "feed",
    "search-engine": "search",
    "social-preview": "social",
    "seo": "seo",
    "monitoring": "monitor",
    "browser-automation": "headless",
    "http-library": "tool",
}
BROWSERS = {  # is-crawler's names that stand for another's, or for another spelling
    "Chrome WebView": "Android WebView",
    "Firefox iOS": "Firefox",
    "IEMobile": "Internet Explorer",
    "IE": "Internet Explorer",
    "Iceweasel": "Firefox",
    "Mobile Chrome": "Chrome",
    "Mobile Firefox": "Firefox",
    "Mobile Safari": "Safari",
    "Apple Mail": "Safari",  # a window of its engine within another program
    "Opera GX": "Opera",
    "Opera Mobile": "Opera",
    "Opera Touch": "Opera",
    "PaleMoon": "Pale Moon",
    "Samsung Browser": "Samsung Internet",
}
BROWSERS |= {
    name: name
    for name in (
        *("Arc", "Brave", "Chrome", "Chromium", "Coc Coc", "DuckDuckGo", "Edge", "Epiphany"),
        *("Facebook", "Firefox", "Floorp", "Google App", "Huawei Browser", "Instagram"),
        *("K-Meleon", "Konqueror", "LibreWolf", "LinkedIn", "Links", "Lynx", "MIUI Browser"),
        *("Maxthon", "Mullvad Browser", "NetFront", "Opera", "Opera Mini", "Orion", "Pinterest"),
        *("QQBrowser", "Safari", "SeaMonkey", "Silk", "Snapchat", "TikTok", "Tor Browser"),
        *("UC Browser", "Vivaldi", "Waterfox", "WeChat", "Whale", "Yandex", "Zen", "w3m"),
    )
}
SYSTEMS = {"Chromium OS": "ChromeOS", "Windows Mobile": "Windows Phone"}
SYSTEMS |= dict.fromkeys(("Arch", "CentOS", "Debian", "Fedora", "Gentoo", "Kali"), "Linux")
SYSTEMS |= dict.fromkeys(("Kubuntu", "Mageia", "Mandriva", "Manjaro", "Mint", "Raspbian"), "Linux")
SYSTEMS |= dict.fromkeys(("Red Hat", "SUSE", "Slackware", "Ubuntu", "openSUSE"), "Linux")
SYSTEMS |= {
    name: name
    for name in (
        *("Android", "BlackBerry", "FreeBSD", "Haiku", "HarmonyOS", "KaiOS", "Linux", "NetBSD"),
        *("Nintendo", "OpenBSD", "PlayStation", "Solaris", "Symbian", "Tizen", "Windows"),
        *("Windows Phone", "Xbox", "iOS", "iPadOS", "macOS", "webOS"),
    )
}
DEVICES: dict[str, Device] = {
    "Desktop": "desktop",
    "Mobile": "mobile",
    "Tablet": "tablet",
    "SmartTV": "tv",
    "Console": "console",
}
TELEVISIONS = (
    *("smart-tv", "smarttv", "smart tv", "hbbtv", "web0s", "netcast", "bravia", "viera", "vidaa"),
    *("googletv", "google tv", "android tv", "androidtv", "appletv", "apple tv", "crkey", "roku"),
    *("nettv", "philipstv", "mitv", "mibox", "shield android", "opera tv", "ce-html"),
    *("large screen", "tv safari", "inettvbrowser"),
)
FIRE_TV = re.compile(r"; AFT[A-Z0-9]{1,6}\b")
PHONES_OF_OLD = ("midp", "j2me", "symbian", "series60", "nokia", "blackberry", "opera mini")

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
    parsed = parse(text)
    browser = BROWSERS.get(parsed.browser or "")
    return Agent(browser, _system(parsed, text), _device(parsed, text))


def _known_robot(robot: CrawlerInfo) -> Agent:
    bot: Bot = next((bot for tag, bot in BOTS.items() if tag in robot.tags), "other")
    return Agent(browser=_names().get(robot), bot=bot)


@cache
def _names() -> dict[CrawlerInfo, str]:
    names: dict[CrawlerInfo, str] = {}
    for robot, name in iter_crawlers():
        names.setdefault(robot, name[:NAME_CHARS_MAX].rstrip())
    return names


def _system(parsed: UserAgent, text: str) -> str | None:
    if "Web0S" in text or "NetCast" in text:
        return "webOS"
    if "Roku" in text:
        return "Roku"
    if "Xbox" in text:  # it says that it is Windows, too
        return "Xbox"
    return SYSTEMS.get(parsed.os or "")


def _device(parsed: UserAgent, text: str) -> Device:
    lower = text.lower()
    device = DEVICES.get(parsed.device or "", "other")
    if device != "console" and (any(w in lower for w in TELEVISIONS) or FIRE_TV.search(text)):
        return "tv"
    if device in ("other", "desktop") and any(phone in lower for phone in PHONES_OF_OLD):
        return "mobile"
    return device
