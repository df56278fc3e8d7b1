"""What the types of a site do not say: a rule yields the key that breaks it, and what is wrong."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from ingest.sites import hosts, tokens
from ingest.sites.places import Path
from ingest.sites.site import CAN_BE_LEFT_OUT, SITE_CHARACTERS_MAX, Site

DEPTH_MAX = 8  # of a segment's filters

Wrong = tuple[Path, str]


def wrongs(site: Site) -> Iterator[Wrong]:
    """What is wrong with a site by itself."""
    if not site.site_id.isprintable():
        yield (), "a name has printable characters alone"
    yield from _each(site.hosts, "hosts", hosts.pattern)
    yield from _each(site.aliases, "aliases", _name)
    for name in ("keys", "readers"):
        yield from _each(getattr(site, name), name, _hash)
    yield from _each(site.without, "without", _left_out)
    if site.time_zone and site.time_zone not in _zones():
        yield ("time_zone",), f"{site.time_zone[:80]!r} is no IANA time zone, as Europe/Berlin is"
    for kind, named in (
        ("goals", site.goals),
        ("funnels", site.funnels),
        ("segments", site.segments),
    ):
        yield from _unique(kind, [each.name for each in named])
    yield from _steps(site)
    for n, segment in enumerate(site.segments):
        if not all(map(_is_filter, segment.filters)):
            yield ("segments", n, "filters"), 'a filter is a list as ["is", "event:page", ["/"]]'


def clashes(sites: Iterable[Site]) -> Iterator[Wrong]:
    """What is wrong with sites beside each other: a name leads to one of them."""
    sites = list(sites)
    owners = {site.site_id: site.site_id for site in sites}
    for site in sites:
        for n, alias in enumerate(site.aliases):
            owner = owners.setdefault(alias, site.site_id)
            if owner != site.site_id or alias == site.site_id:
                yield (site.site_id, "aliases", n), f"{alias!r} is the name of {owner!r} already"


def _each(texts: Sequence[str], key: str, check: Callable[[str], object]) -> Iterator[Wrong]:
    for n, text in enumerate(texts):
        try:
            check(text)
        except ValueError as error:
            yield (key, n), str(error)


def _name(text: str) -> None:
    if not 1 <= len(text) <= SITE_CHARACTERS_MAX or not text.isprintable():
        raise ValueError(f"a name has 1 to {SITE_CHARACTERS_MAX} printable characters")


def _hash(text: str) -> None:
    if not tokens.HASH.fullmatch(text):  # and is not quoted: it may be the token itself
        raise ValueError("this is no SHA-256 of a token: `python -m report token` makes both")


def _left_out(text: str) -> None:
    if text not in ("sources", *CAN_BE_LEFT_OUT):
        there_is = ", ".join(("sources", *CAN_BE_LEFT_OUT))
        raise ValueError(f"{text[:80]!r} cannot be left out; there is {there_is}")


def _unique(kind: str, names: list[str]) -> Iterator[Wrong]:
    for n, name in enumerate(names):
        if name in names[:n]:
            yield (kind, n, "name"), f"there are two {kind} with the name {name!r}"


def _steps(site: Site) -> Iterator[Wrong]:
    goals = {goal.name for goal in site.goals}
    for n, funnel in enumerate(site.funnels):
        for k, step in enumerate(funnel.steps):
            if step not in goals:
                yield ("funnels", n, "steps", k), f"there is no goal {step!r}"


def _is_filter(given: Any) -> bool:
    """A list that begins with the name of an operator."""
    return (
        isinstance(given, list)
        and isinstance(next(iter(given), 0), str)
        and _is_flat(given, DEPTH_MAX)
    )


def _is_flat(given: Any, depth_max: int) -> bool:
    """Text, number, or a list of these that is not nested deeper."""
    if isinstance(given, list):
        return depth_max > 0 and all(_is_flat(each, depth_max - 1) for each in given)
    return isinstance(given, str | int | float | bool)


@cache  # looking for them takes 20 ms
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
