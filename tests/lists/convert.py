"""Makes report/terms/lists from lists that others keep, to be run by hand when these have moved on.

    python -m tests.lists.convert FOLDER --as-of DATE

DATE, or what else says which state of the lists it was, goes into the files.

FOLDER has the files of two repositories: SearchEngines.yml, Socials.yml and AIAssistants.yml of
matomo-org/searchengine-and-social-list (CC0 1.0), spammers.txt of matomo-org/referrer-spam-list
(public domain). What is kept by hand is in by_hand.tsv, and this leaves it alone.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

LISTS = Path(__file__).parents[2] / "report" / "terms" / "lists"
SOURCES_HEAD = """\
# Hosts by the source that they are: category, name, keys (report/terms/sources.py has the format).
# From matomo-org/searchengine-and-social-list, CC0 1.0 Universal, as of {as_of},
# by tests/lists/convert.py. by_hand.tsv goes before it.
"""
SPAM_HEAD = """\
# Hosts that are named as a referrer to be looked at, and never led anybody anywhere.
# From matomo-org/referrer-spam-list, public domain, as of {as_of}, by tests/lists/convert.py.
"""
# The first file that has a host says what it is: search engines name other companies' portals.
FILES = {"ai": "AIAssistants.yml", "social": "Socials.yml", "search": "SearchEngines.yml"}
NAMES = {
    "Deepseek": "DeepSeek",
    "Google%2B": "Google+",
    "Haboo": "Habbo",
    "Metager": "MetaGer",
    "MySpace": "Myspace",
    "Ozone": "Qzone",
    "Sourceforge": "SourceForge",
    "StartPage": "Startpage",
    "StackOverflow": "Stack Overflow",
    "gree": "GREE",
    "instagram": "Instagram",
    "reddit": "Reddit",
    "tumblr": "Tumblr",
    "Vkontakte": "VK",
}
# Searched on a page among others: who comes from there has not always searched.
PORTALS = {"cnn.com", "fastweb.it", "msnbc.msn.com", "optuszoo.com.au", "charter.net", "skynet.be"}

HEADING = re.compile(r"(?P<name>\S.*):\s*$")
ITEM = re.compile(r"\s+-\s+(?P<text>\S+)\s*$")
BLOCK = re.compile(r"\s+(?:-\s+)?(?P<name>\w+):")


def entries(text: str, within: str) -> Iterator[tuple[str, str]]:
    """Name and host of every item, of those in blocks of this name if the file has blocks."""
    name, block = "", within
    for line in text.splitlines():
        if found := HEADING.match(line):
            name, block = found["name"].strip("'\""), ""
        elif found := BLOCK.match(line):
            block = found["name"]
        elif (found := ITEM.match(line)) and block == within:
            yield name, found["text"].strip("'\"")


def key(host: str) -> str | None:
    """Our spelling, or None for what names a path, which we do not look at."""
    host = re.sub(r"^[a-z-]+:/*", "", host.lower()).removeprefix("www.")
    host = re.sub(r"^(?:\{\}\.)+", "", host)
    if "/" in host or "{}." in host:
        return None
    return re.sub(r"\.\{\}$", ".*", host)


def covered(key: str, name: str, known: dict[str, tuple[str, str]]) -> bool:
    """The host above it says the same: the format takes what is below a host for it."""
    labels = key.split(".")
    above = (".".join(labels[n:]) for n in range(1, len(labels)))
    return any(known[host][1] == name for host in above if host in known)


def sources(folder: Path) -> dict[tuple[str, str], list[str]]:
    known: dict[str, tuple[str, str]] = {}
    for category, file in FILES.items():
        within = "urls" if category == "search" else ""
        for name, host in entries((folder / file).read_text(), within):
            found = key(host)
            if found and found not in PORTALS:
                known.setdefault(found, (category, NAMES.get(name, name)))
    grouped: dict[tuple[str, str], list[str]] = {}
    for found, source in known.items():
        if not covered(found, source[1], known):
            grouped.setdefault(source, []).append(found)
    return grouped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--as-of", required=True, metavar="DATE")
    options = parser.parse_args()
    found = sorted(sources(options.folder).items(), key=lambda each: each[0][1].lower())
    lines = (f"{category}\t{name}\t{' '.join(keys)}\n" for (category, name), keys in found)
    head = SOURCES_HEAD.format(as_of=options.as_of)
    (LISTS / "sources.tsv").write_text(head + "".join(lines))
    spam = sorted(set((options.folder / "spammers.txt").read_text().lower().split()))
    head = SPAM_HEAD.format(as_of=options.as_of)
    (LISTS / "spam.txt").write_text(head + "".join(f"{host}\n" for host in spam))


if __name__ == "__main__":
    main()
