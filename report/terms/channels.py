"""The channels: of what kind a source is. The first rule that fits counts.

The rules are Google Analytics' as Plausible has them, and three of our own: AI assistants have a
channel, and so has referrer spam, which is marked and not dropped; and what Facebook adds to every
link (fbclid) makes no ad of it.

A rule is SQL over these, none of which is null but the source:

    name, category       of the source, see report.terms.sources; null without one
    given                utm_source
    medium, campaign     utm_medium, utm_campaign
    is_paid              by the medium, by the spelling of utm_source, or by an ad's click_id
"""

from dataclasses import dataclass

SPAM = "Referrer Spam"
DIRECT = "Direct"

# "cp" is in cpc, cpm, cpv and cpa
IS_PAID_MEDIUM = (
    "(contains(medium, 'cp') OR medium IN ('ppc', 'retargeting') OR starts_with(medium, 'paid'))"
)
IS_SHOPPING = r"(category = 'shopping' OR regexp_matches(campaign, '(^|[^a-df-z])shop|shopping'))"
MAIL = "'e[ _-]?mail|newsletter'"
PUSH = "'push$|mobile|notification'"


@dataclass(frozen=True, slots=True)
class Channel:
    name: str
    rule: str


CHANNELS = (
    Channel("Cross-network", "contains(campaign, 'cross-network')"),
    Channel("Paid Shopping", f"is_paid AND {IS_SHOPPING}"),
    Channel("Paid Search", "is_paid AND category = 'search'"),
    Channel("Paid Social", "is_paid AND category = 'social'"),
    Channel("Paid Video", "is_paid AND category = 'video'"),
    Channel("Display", "medium IN ('display', 'banner', 'expandable', 'interstitial', 'cpm')"),
    Channel("Paid Other", "is_paid"),
    Channel("Organic Shopping", IS_SHOPPING),
    Channel(
        "Organic Social",
        "category = 'social' OR medium IN"
        " ('social', 'social-network', 'social-media', 'sm', 'social network', 'social media')",
    ),
    Channel("Organic Video", "category = 'video' OR contains(medium, 'video')"),
    Channel("Organic Search", "category = 'search' OR medium = 'organic'"),
    Channel("AI Assistants", "category = 'ai' OR medium IN ('ai', 'ai-assistant', 'chatbot')"),
    Channel(
        "Email",
        f"category = 'email' OR regexp_matches(given, {MAIL}) OR regexp_matches(medium, {MAIL})",
    ),
    Channel("Affiliates", "contains(medium, 'affiliate')"),
    Channel("Audio", "medium = 'audio'"),
    Channel("SMS", "medium = 'sms' OR given = 'sms'"),
    Channel("Mobile Push Notifications", f"regexp_matches(medium, {PUSH}) OR given = 'firebase'"),
    Channel(SPAM, "category = 'spam'"),
    Channel("Referral", "name IS NOT NULL OR medium IN ('referral', 'app', 'link')"),
)
NAMES = (*(channel.name for channel in CHANNELS), DIRECT)
_CASES = (f"WHEN {channel.rule} THEN '{channel.name}'" for channel in CHANNELS)
CHANNEL = f"CASE {' '.join(_CASES)} ELSE '{DIRECT}' END"
