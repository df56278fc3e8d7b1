"""What POST /query tells apart by, groups by and filters by: report.terms.dimensions, and more.

    event:*   of the event itself
    visit:*   of the visit that the event belongs to, which is what its first page view says (its
              first event, if it has no page view). Of an event that is in no visit (nobody's, or a
              robot's) it is what the event says itself
    time:*    the time of the event; of a visit, that of its first page view

Browser, os, device, bot, country and language are told with every event, so these are always the
event's own. What is absent is "(not set)"; a visit without a source is "Direct / None".
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

from report.terms.buckets import Interval
from report.terms.dimensions import DIMENSIONS, KEY_CHARACTERS_MAX, pointer_to
from report.terms.query.bound import Bound
from report.terms.query.wrong import Wrong, unknown

Level = Literal["event", "visit", "time"]

NOT_SET = "(not set)"
DIRECT = "Direct / None"
PROPS = "event:props:"
GOAL = "event:goal"
PAGE = "event:page"
EXIT_PAGE = "visit:exit_page"
BOT = "visit:bot"
SOURCE = "visit:source"
TIME = "time"  # the interval that suits the dates
TIMES = {f"time:{interval}": interval for interval in get_args(Interval)}

_OF_EACH_EVENT = ("browser", "os", "device", "bot", "country", "language")
_COUNTRY_NAMES = {"US": "United States of America", "GB": "United Kingdom"}  # else as tzdata says


@dataclass(frozen=True, slots=True)
class Dimension:
    """`sql` is its value for an event that it is told of; null is none."""

    name: str
    words: str
    level: Level
    sql: str = ""
    is_of_each_event: bool = False  # though its name says visit
    is_of_visit_alone: bool = False  # an event that is in no visit has none
    interval: Interval | None = None
    key: str = ""  # of props
    example: str = ""

    @property
    def absent(self) -> str:
        """What is told where it is null."""
        return DIRECT if self.name == SOURCE else NOT_SET

    @property
    def is_of_visit(self) -> bool:
        """Another row of the visit has to be looked at to know it."""
        return self.level == "visit" and not self.is_of_each_event

    def value(self, bound: Bound) -> str:
        """The SQL for the value of an event that it is told of."""
        if self.key:
            return f"json_extract_string(props, {bound(pointer_to(self.key))})"
        return self.sql


def _country_name() -> str:
    """From ISO 3166-1 codes to names, as SQL."""
    table = files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    pairs = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    names = {code: _COUNTRY_NAMES.get(code, name).replace("'", "''") for code, name in pairs}
    known = ", ".join(f"'{code}': '{name}'" for code, name in names.items())
    return f"coalesce(MAP {{{known}}}[country], country)"


@cache
def dimensions() -> dict[str, Dimension]:
    """By name; those of props and time are not among them."""
    rows = [
        Dimension(
            each.asked_as,
            each.words,
            "event" if each.asked_as.startswith("event:") else "visit",
            each.sql,
            is_of_each_event=each.name in _OF_EACH_EVENT,
            example=each.example,
        )
        for each in DIMENSIONS.values()
        if each.asked_as
    ]
    rows += [
        Dimension(
            "visit:country_name",
            "Country, by its English name",
            "visit",
            _country_name(),
            is_of_each_event=True,
            example="Germany",
        ),
        Dimension(
            "visit:entry_page",
            "Path of the visit's first page view",
            "visit",
            "if(visit_views > 0, path, NULL)",
            is_of_visit_alone=True,
            example="/",
        ),
        Dimension(
            EXIT_PAGE,
            "Path of the visit's last page view",
            "visit",
            "visit_exit",
            is_of_visit_alone=True,
            example="/thanks",
        ),
        Dimension(GOAL, "Goal that the event fulfils", "event", example="Signup"),
    ]
    return {row.name: row for row in rows}


KEPT_NOWHERE = {
    **dict.fromkeys(
        ("visit:city", "visit:city_name", "visit:region", "visit:region_name"),
        "no place finer than a country is kept; take visit:country",
    ),
    **dict.fromkeys(
        ("visit:browser_version", "visit:os_version"),
        "versions are not kept; take visit:browser or visit:os",
    ),
    "visit:screen": "screens are not kept; take visit:device",
}


def names() -> list[str]:
    return [*dimensions(), f"{PROPS}KEY", TIME, *TIMES]


def dimension(name: str, at: str) -> Dimension:
    """The one of that name. Raises Wrong."""
    if name in TIMES:
        return Dimension(name, "Time", "time", interval=TIMES[name])
    if name == TIME:
        return Dimension(name, "Time", "time")
    if name.startswith(PROPS):
        key = name.removeprefix(PROPS)
        if not 0 < len(key) <= KEY_CHARACTERS_MAX:
            raise Wrong(at, f"a key of props has 1 to {KEY_CHARACTERS_MAX} characters")
        return Dimension(name, f"Your own {key}", "event", key=key)
    if name in KEPT_NOWHERE:
        raise Wrong(at, f"there is no dimension {name!r}: {KEPT_NOWHERE[name]}")
    if name not in dimensions():
        raise unknown(at, "dimension", name, names())
    return dimensions()[name]
