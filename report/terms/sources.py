"""Where an event came from: rules over stored columns, so that they apply to the past.

    source   what utm_source says, else whose ad click_id belongs to, else the referrer's host if
             it is not the site's own; null: nothing of these (the address was typed, or the page
             before is one of the site's)
    channel  of what kind it is: see report.terms.channels

A source that the lists know has its name there, any other one the name that it gave itself.

    lists/*.tsv := line*     "#" begins a comment
    line        := category [" ad"] TAB name TAB key (" " key)*
    key         := host      and every host below it; an app's id is a host
                 | host ".*" under every country's domain
                 | word      as people write it into utm_source; "-" stands for spaces and "_" too
    spam.txt    := a host on each line

Where a key is in several, by_hand.tsv goes before sources.tsv, and this before spam.txt. Of the
keys that fit a host the longest counts.
"""

from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import NamedTuple

import duckdb

from report.terms import channels

LISTS = files("report.terms") / "lists"
HOST_CHARACTERS_MAX = 253
LABELS_MAX = 8  # of a host, from its end: more than any key has, and a bound for hostile ones


class Source(NamedTuple):
    name: str
    category: str  # search, social, video, shopping, email, ai, spam or other
    is_ad: bool  # its key says that it was paid for


class Click(NamedTuple):
    """Whose ads add a parameter: the company's own name, and where else it has them."""

    names: list[str]
    category: str
    is_ad: bool = True  # false: links that nobody paid for have it, too


_GOOGLE = ["Google", "Gmail", "Google Images", "Google Maps", "Google Shopping", "YouTube"]
_META = ["Facebook", "Instagram", "Messenger", "Threads", "WhatsApp"]
CLICKS = {
    "gclid": Click(_GOOGLE, "search"),
    "gbraid": Click(_GOOGLE, "search"),
    "wbraid": Click(_GOOGLE, "search"),
    "msclkid": Click(["Bing", "DuckDuckGo", "Ecosia", "Outlook", "Yahoo!"], "search"),
    "fbclid": Click(_META, "social", is_ad=False),
    "ttclid": Click(["TikTok"], "social"),
    "twclid": Click(["X (Twitter)"], "social"),
    "li_fat_id": Click(["LinkedIn"], "social"),
}

HOST = (
    r"^(?:https?|android-app|ios-app)://(?:[^/?#@]*@)?(?:www\.)?"  # not what browsers show pages by
    r"(\[[^\]]*\]|[^/?#:]*)"
)
COUNTRY = r"\.(?:com|net|org|(?:(?:com|co|org|net|edu|gov|it)\.)?[a-z]{2})$"
_CLICKS = ", ".join(f"'{name}': {click._asdict()}" for name, click in CLICKS.items())
# A macro's argument is text, so what is said twice in it is worked out twice: hence the steps.
HELPERS = rf"""
CREATE MACRO host_of(url) AS nullif(rtrim(regexp_extract(lower(url), '{HOST}', 1), '.'), '');

CREATE MACRO word_of(text) AS regexp_replace(
    regexp_extract(lower(text), '^(?:https?://)?(?:www\.)?([^/?#:]*)', 1), '[\s_]+', '-', 'g');

-- A host, those above it, and each under any country's domain; a top-level domain alone is none
CREATE MACRO keys_of(labels) AS flatten(list_transform(
    range(1, greatest(len(labels), 2)),
    lambda n: [array_to_string(labels[n:], '.'),
        regexp_replace(array_to_string(labels[n:], '.'), '{COUNTRY}', '.*')]));

CREATE MACRO known(host) AS (
    SELECT arg_min(source, nth) FROM (
        SELECT unnest(keys) AS key, generate_subscripts(keys, 1) AS nth
        FROM (SELECT keys_of(
            string_split(right(host, {HOST_CHARACTERS_MAX}), '.')[-{LABELS_MAX}:]
        ) AS keys)
    ) JOIN sources USING (key)
);

CREATE MACRO clicks() AS MAP {{{_CLICKS}}};

CREATE MACRO one(called, of_category) AS
    {{'name': called, 'category': of_category, 'is_ad': false}};
"""
ASKED = """
    SELECT trim(coalesce(utm_source, '')) AS given, clicks()[lower(click_id)] AS click, nullif(
        host_of(referrer),
        coalesce(host_of('http://' || hostname), host_of('http://' || site_id), '')
    ) AS host"""
LOOKED_UP = f"""
    SELECT *, known(CASE WHEN given <> '' THEN word_of(given) ELSE host END) AS listed
    FROM ({ASKED}{{more}})"""
# Where a company's ads have one parameter, the referrer says on which of its sites this one was
FOUND = f"""
    SELECT *, CASE
        WHEN given <> '' THEN coalesce(listed, one(given, 'other'))
        WHEN click IS NOT NULL AND NOT coalesce(list_contains(click.names, listed.name), false)
            THEN one(click.names[1], click.category)
        WHEN host IS NOT NULL THEN coalesce(listed, one(host, 'other'))
    END AS found
    FROM ({LOOKED_UP})"""
TAGS = """,
    lower(trim(coalesce(utm_medium, ''))) AS medium,
    lower(trim(coalesce(utm_campaign, ''))) AS campaign"""
ORIGIN = f"""
    SELECT found.name AS name, coalesce(found.category, '') AS category,
        lower(given) AS given, medium, campaign,
        {channels.IS_PAID_MEDIUM} OR coalesce(found.is_ad, false) OR coalesce(
            click.is_ad AND (medium = '' OR list_contains(click.names, found.name)), false
        ) AS is_paid
    FROM ({FOUND.format(more=TAGS)})"""
COLUMNS = "site_id, hostname, referrer, utm_source, click_id"
# DuckDB joins a correlated subquery on the distinct values of its columns: nothing here is worked
# out for each row.
MACROS = f"""
CREATE MACRO source_of({COLUMNS}) AS (SELECT found.name FROM ({FOUND.format(more="")}));
CREATE MACRO channel_of({COLUMNS}, utm_medium, utm_campaign) AS (
    SELECT {channels.CHANNEL} FROM ({ORIGIN})
);
"""
SOURCE = f"source_of({COLUMNS})"
CHANNEL = f"channel_of({COLUMNS}, utm_medium, utm_campaign)"


def define(database: duckdb.DuckDBPyConnection) -> None:
    """Gives a database what SOURCE and CHANNEL need; they are SQL over an event's columns."""
    known = sources()
    database.execute(
        "CREATE TABLE sources AS SELECT unnest($keys) AS key, unnest($values) AS source",
        {"keys": list(known), "values": [source._asdict() for source in known.values()]},
    )
    database.execute(HELPERS + MACROS)


@cache
def identity() -> bytes:
    """Differs when the same event is from somewhere else: an answer's tag has it."""
    rules = repr((HELPERS, MACROS, sources()))
    return blake2b(rules.encode(), digest_size=16).digest()


def sources() -> dict[str, Source]:
    """By key."""
    found: dict[str, Source] = {}
    for name in ("by_hand.tsv", "sources.tsv"):
        for line in _lines(name):
            category, source, keys = line.split("\t")
            said = Source(source, category.removesuffix(" ad"), category.endswith(" ad"))
            for key in keys.split():
                found.setdefault(key, said)
    for host in _lines("spam.txt"):
        found.setdefault(host, Source(channels.SPAM, "spam", False))
    return found


def _lines(name: str) -> Iterator[str]:
    for line in (LISTS / name).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield line
