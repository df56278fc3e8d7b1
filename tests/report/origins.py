"""Where an event came from, found out slowly in Python: what the SQL must say, too."""

import re
from typing import NamedTuple

from report.terms import channels
from report.terms.sources import CLICKS, Source, sources

HOST = re.compile(r"(?:https?|android-app|ios-app)://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)")
COUNTRY = re.compile(r"\.(?:com|net|org|(?:(?:com|co|org|net|edu|gov|it)\.)?[a-z]{2})\Z")
KNOWN = sources()


class Said(NamedTuple):
    site_id: str = "blog"
    hostname: str | None = None
    referrer: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    click_id: str | None = None


class Origin(NamedTuple):
    source: str | None
    channel: str


def origin(said: Said) -> Origin:
    source = source_of(said)
    return Origin(source and source.name, channel_of(said, source))


def source_of(said: Said) -> Source | None:
    given = (said.utm_source or "").strip(" ")
    if given:
        return known(word(given)) or Source(given, "other", False)
    host = foreign_host(said)
    met = known(host) if host else None
    click = CLICKS.get((said.click_id or "").lower())
    if click and not (met and met.name in click.names):
        return Source(click.names[0], click.category, False)
    return met or (Source(host, "other", False) if host else None)


def foreign_host(said: Said) -> str | None:
    own = host_of(f"http://{said.hostname or ''}") or host_of(f"http://{said.site_id}")
    host = host_of(said.referrer or "")
    return host if host != own else None


def host_of(url: str) -> str | None:
    found = HOST.match(url.lower())
    return found[1].removeprefix("www.").rstrip(".") or None if found else None


def word(given: str) -> str:
    text = re.sub(r"\A(?:https?://)?(?:www\.)?", "", given.lower())
    return re.sub(r"[\s_]+", "-", re.split(r"[/?#:]", text)[0])


def known(host: str) -> Source | None:
    labels = host[-253:].split(".")[-8:]
    for n in range(max(len(labels) - 1, 1)):
        key = ".".join(labels[n:])
        for spelling in (key, COUNTRY.sub(".*", key)):
            if spelling in KNOWN:
                return KNOWN[spelling]
    return None


def channel_of(said: Said, source: Source | None) -> str:
    name, category, is_ad = source or (None, "", False)
    given = (said.utm_source or "").strip(" ").lower()
    medium = (said.utm_medium or "").strip(" ").lower()
    campaign = (said.utm_campaign or "").strip(" ").lower()
    click = CLICKS.get((said.click_id or "").lower())
    paid = (
        "cp" in medium
        or medium in {"ppc", "retargeting"}
        or medium.startswith("paid")
        or is_ad
        or bool(click and click.is_ad and (not medium or name in click.names))
    )
    shopping = category == "shopping" or bool(re.search("(^|[^a-df-z])shop|shopping", campaign))
    is_mail = re.compile("e[ _-]?mail|newsletter").search
    social = {"social", "social-network", "social-media", "sm", "social network", "social media"}
    rules = {
        "Cross-network": "cross-network" in campaign,
        "Paid Shopping": paid and shopping,
        "Paid Search": paid and category == "search",
        "Paid Social": paid and category == "social",
        "Paid Video": paid and category == "video",
        "Display": medium in {"display", "banner", "expandable", "interstitial", "cpm"},
        "Paid Other": paid,
        "Organic Shopping": shopping,
        "Organic Social": category == "social" or medium in social,
        "Organic Video": category == "video" or "video" in medium,
        "Organic Search": category == "search" or medium == "organic",
        "AI Assistants": category == "ai" or medium in {"ai", "ai-assistant", "chatbot"},
        "Email": category == "email" or is_mail(given) or is_mail(medium),
        "Affiliates": "affiliate" in medium,
        "Audio": medium == "audio",
        "SMS": "sms" in {medium, given},
        "Mobile Push Notifications": re.search(r"push\Z|mobile|notification", medium)
        or given == "firebase",
        channels.SPAM: category == "spam",
        "Referral": name is not None or medium in {"referral", "app", "link"},
    }
    return next((channel for channel, fits in rules.items() if fits), channels.DIRECT)
