"""A site, as a table of sites.toml says it. sites.example.toml explains each key by example."""

from functools import cached_property
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from ingest.event import COLUMNS
from ingest.sites import hosts, tokens
from ingest.sites.goals import Funnels, Goals, Segments

SITE_CHARACTERS_MAX = 64
TOKENS_MAX = 64
DAYS_MAX = 36_525

# What of an event tells where a visitor came from: together they are "sources" of `without`.
SOURCES = (
    "referrer",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
    "click_id",
)
# Without event_id a retry would count twice; the others say what an event is.
CAN_BE_LEFT_OUT = tuple(c.name for c in COLUMNS if not c.required and c.name != "event_id")

Texts = Annotated[tuple[str, ...], Meta(max_length=1_000)]
Hashes = Annotated[tuple[str, ...], Meta(max_length=TOKENS_MAX)]


class Site(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """One of sites.toml; `site_id` is the name of its table."""

    site_id: Annotated[str, Meta(min_length=1, max_length=SITE_CHARACTERS_MAX)]

    # Who may write
    hosts: Texts = ()
    aliases: Texts = ()
    keys: Hashes = ()
    user_id_needs_key: bool = False

    # Who may read
    readers: Hashes = ()
    public: bool = False

    # What is kept
    retention_days: Annotated[int, Meta(ge=1, le=DAYS_MAX)] | UnsetType = UNSET
    without: Texts = ()

    # How it is asked
    time_zone: str | UnsetType = UNSET
    goals: Goals = ()
    funnels: Funnels = ()
    segments: Segments = ()

    def takes_from(self, host: str) -> bool:
        """Whether pages of this host may send, without a key."""
        return host in self._hosts or host.endswith(self._below) or self._takes_any

    def has_key(self, given: str) -> bool:
        """`given` is the hash of a token that was shown."""
        return tokens.is_among(given, self.keys)

    @cached_property
    def columns_left_out(self) -> tuple[str, ...]:
        """In the order of COLUMNS."""
        named = {*self.without, *(SOURCES if "sources" in self.without else ())}
        return tuple(name for name in CAN_BE_LEFT_OUT if name in named)

    @cached_property
    def _patterns(self) -> tuple[str, ...]:
        return tuple(map(hosts.pattern, self.hosts))

    @cached_property
    def _hosts(self) -> frozenset[str]:
        return frozenset(each for each in self._patterns if not each.startswith("*"))

    @cached_property
    def _below(self) -> tuple[str, ...]:
        return tuple(each[1:] for each in self._patterns if each.startswith("*."))

    @cached_property
    def _takes_any(self) -> bool:
        return "*" in self._patterns


KEYS = tuple(name for name in Site.__struct_fields__ if name != "site_id")
