"""The names in which browsers, systems, devices and robots are told: closed tables.

On the left is what is-crawler calls them, or a mark in the agent that it does not look for.
"""

import re

from ingest.event import Bot, Device

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
MARKS = {" Ddg/": "DuckDuckGo", "Safari/604.1 Brave": "Brave"}  # that is-crawler does not look for
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
SYSTEM_MARKS = {  # some of which say that they are others, too
    "Xbox": "Xbox",
    "Playstation": "PlayStation",
    "Web0S": "webOS",
    "NetCast": "webOS",
    "Roku": "Roku",
    "iPad": "iPadOS",
    "KAIOS": "KaiOS",
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
    *("large screen", "tv safari", "inettvbrowser", "(tv;"),
)
FIRE_TV = re.compile(r"; AFT[A-Z0-9]{1,6}\b")
PHONES_OF_OLD = ("midp", "j2me", "symbian", "series60", "nokia", "blackberry", "opera mini")


UNMARKED: dict[str, tuple[str, Bot]] = {  # robots that pass for browsers with it
    "DatadogSynthetics": ("DatadogSynthetics", "monitor"),
    "Dalvik/": ("Dalvik", "tool"),
    "zgrab/": ("zgrab", "other"),
}
