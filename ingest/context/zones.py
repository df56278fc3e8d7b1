"""The country of an IANA time zone, by the zones' own table.

    zones.txt := line*      line := country (ISO 3166-1) (" " zone)+

python -m ingest.context.zones makes zones.txt anew from the tzdata that is installed: zone.tab has
one country for each zone, tzdata.zi the names that zones had before, which browsers still say.
"""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

TABLE = Path(__file__).with_name("zones.txt")

# Former names of places whose clocks go by those of another country now (tzdata's `backward` says
# so in its comments).
ELSEWHERE = {
    "Africa/Asmera": "ER",
    "Africa/Timbuktu": "ML",
    "America/Coral_Harbour": "CA",
    "America/Virgin": "VI",
    "Antarctica/South_Pole": "AQ",
    "Atlantic/Jan_Mayen": "SJ",
    "Iceland": "IS",
    "Pacific/Ponape": "FM",
    "Pacific/Truk": "FM",
    "Pacific/Yap": "FM",
}
# Clocks, and no places.
NOWHERE = {"CET", "CST6CDT", "EET", "EST", "EST5EDT", "HST", "MET", "MST", "MST7MDT"}
NOWHERE |= {"PST8PDT", "WET"}


def country_of_zone(zone: str) -> str | None:
    """None for UTC and its kin, and for what is no zone."""
    return _table().get(zone)


def countries() -> frozenset[str]:
    """Those that have a zone, which are all in which anybody lives."""
    return frozenset(_table().values())


@cache
def _table() -> dict[str, str]:
    lines = map(str.split, TABLE.read_text().splitlines())
    return {zone: country for country, *zones in lines for zone in zones}


def of_tzdata(folder: Traversable) -> dict[str, str]:
    """zone → country, former names included."""
    found = {}
    for line in (folder / "zone.tab").read_text().splitlines():
        if not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            found[zone] = country
    for line in (folder / "tzdata.zi").read_text().splitlines():
        if line.startswith("L "):
            _, target, name = line.split()
            if target in found and name not in NOWHERE:
                found.setdefault(name, found[target])
    return found | ELSEWHERE


def main() -> None:
    found = of_tzdata(files("tzdata") / "zoneinfo")
    by_country: dict[str, list[str]] = {}
    for zone in sorted(found):
        by_country.setdefault(found[zone], []).append(zone)
    lines = [" ".join([country, *zones]) for country, zones in sorted(by_country.items())]
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
