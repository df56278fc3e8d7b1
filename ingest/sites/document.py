"""sites.toml as a whole: read, checked, and looked up.

A site is a table, its name the site_id: [blog], ["example.com"]. Whatever is wrong, the first of it
is said with line and key, and nothing of the file is taken.
"""

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from ingest.sites.goals import Funnel, Goal, Segment
from ingest.sites.places import Path, line_of
from ingest.sites.rules import clashes, wrongs
from ingest.sites.site import KEYS, Site

SITES_BYTES_MAX = 8 * 1024 * 1024

_PLACE = re.compile(r" - at (?:`key` in )?`\$([^`]*)`$")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_UNKNOWN = re.compile(r"unknown field `(.*)`")
_TOML_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_KINDS: Mapping[str | int, type[msgspec.Struct]] = {
    "goals": Goal,
    "funnels": Funnel,
    "segments": Segment,
}


class Invalid(Exception):
    """What is wrong with a sites.toml, for its author."""

    def __init__(self, line: int, words: str) -> None:
        super().__init__(f"line {line}: {words}")
        self.line = line


class Identity(NamedTuple):
    """Differs when a file has been replaced, or written to."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


@dataclass(frozen=True)
class Sites:
    """What a sites.toml says."""

    by_id: Mapping[str, Site]

    @cached_property
    def by_name(self) -> dict[str, Site]:
        """By site_id, and by what other trackers call it."""
        found = dict(self.by_id)
        for site in self.by_id.values():
            found.update(dict.fromkeys(site.aliases, site))
        return found

    @cached_property
    def keys(self) -> frozenset[str]:
        """The hashes of all."""
        return frozenset(each for site in self.by_id.values() for each in site.keys)

    @cached_property
    def readable(self) -> dict[str, frozenset[str]]:
        """By the hash of a reader's token: the sites that it may read."""
        found: dict[str, set[str]] = {}
        for site in self.by_id.values():
            for each in site.readers:
                found.setdefault(each, set()).add(site.site_id)
        return {each: frozenset(sites) for each, sites in found.items()}

    @cached_property
    def public(self) -> frozenset[str]:
        return frozenset(site.site_id for site in self.by_id.values() if site.public)


def identity_of(status: os.stat_result) -> Identity:
    return Identity(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def read(path: str) -> Sites:
    """Raises Invalid, or OSError."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Invalid(1, "this is no regular file")
        content = file.read(SITES_BYTES_MAX + 1)
    if len(content) > SITES_BYTES_MAX:
        raise Invalid(1, f"the file may have {SITES_BYTES_MAX:,} bytes")
    return parse(content)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # for who writes to a FIFO


def parse(content: bytes) -> Sites:
    """Raises Invalid."""
    text, said = _toml(content)
    sites = {}
    for name, table in said.items():
        if not isinstance(table, dict):
            raise _invalid(text, (name,), "a site is a table, as [blog], with its keys below it")
        sites[name] = _site(text, name, table)
    for path, words in clashes(sites.values()):
        raise _invalid(text, path, words)
    return Sites(sites)


def _toml(content: bytes) -> tuple[str, dict[str, Any]]:
    try:
        text = content.decode()
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise Invalid(content.count(b"\n", 0, error.start) + 1, "this is not UTF-8") from None
    except RecursionError:
        raise Invalid(1, "something is nested without end") from None
    except ValueError as error:
        place = _TOML_LINE.search(str(error))
        line = int(place[1]) if place and place[1] else content.count(b"\n") + 1
        raise Invalid(line, _TOML_LINE.sub("", str(error))) from None


def _site(text: str, name: str, table: dict[str, Any]) -> Site:
    if "site_id" in table:
        raise _invalid(text, (name, "site_id"), "the name of the table is the site_id")
    try:
        site = msgspec.convert({**table, "site_id": name}, Site)
    except msgspec.ValidationError as error:
        raise _of_type(text, name, table, str(error)) from None
    for path, words in wrongs(site):
        raise _invalid(text, (name, *path), words)
    return site


def _of_type(text: str, name: str, table: dict[str, Any], said: str) -> Invalid:
    """From msgspec's words, which end with the place."""
    place = _PLACE.search(said)
    steps = _STEP.findall(place[1]) if place else []
    path: Path = tuple(key or int(index) for key, index in steps)
    said = _PLACE.sub("", said)
    if path == ("site_id",):
        return _invalid(text, (name,), f"{said} for a site_id")
    unknown = _UNKNOWN.search(said)
    if not unknown:
        return _invalid(text, (name, *path), said)
    key = unknown[1]
    kind = _KINDS.get(path[0]) if path else None
    known = ", ".join(kind.__struct_fields__ if kind else KEYS)
    words = f"there is no such key; there is {known}"
    if not path and isinstance(table.get(key), dict):
        words += f'. A site whose name has a dot is written ["{name[:64]}.{key[:64]}"]'
    return _invalid(text, (name, *path, key), words)


def _invalid(text: str, path: Path, words: str) -> Invalid:
    return Invalid(line_of(text, path), f"{_written(path)}: {words}")


def _written(path: Path) -> str:
    """As `blog.goals[0].page`."""
    steps = (f"[{each}]" if isinstance(each, int) else f".{_printable(each)}" for each in path)
    return "".join(steps).removeprefix(".")


def _printable(key: str) -> str:
    return key[:80] if key.isprintable() else ascii(key[:80])
