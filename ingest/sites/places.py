"""Where in a TOML text a key stands, which tomllib does not tell.

    document   := statement*
    statement  := header | key "=" value | comment | blank      each ends at the end of a line

A statement is a TOML document of its own, and what begins one without ending it never is: a bracket
or a quote is open. So a text is taken apart line by line, with tomllib itself as the judge.
"""

import tomllib
from collections.abc import Iterator
from typing import Any

STATEMENT_LINES_MAX = 2_000  # behind a longer one nothing is found: that would take minutes

Path = tuple[str | int, ...]  # ("blog", "goals", 0, "page")


def line_of(text: str, path: Path) -> int:
    """The line of a key, or of the innermost table around it that is written down. From 1."""
    lines: dict[Path, int] = {}
    for each, line in _keys(text):
        lines.setdefault(each, line)
    return next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 1)


def _keys(text: str) -> Iterator[tuple[Path, int]]:
    counts: dict[Path, int] = {}  # of the tables in each array
    table: Path = ()
    for statement, line in _statements(text):
        said = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _table(said, counts)
            yield table, line
        else:
            for path in _paths(said):
                yield table + path, line


def _statements(text: str) -> Iterator[tuple[str, int]]:
    begun, first = "", 1
    for number, line in enumerate(text.split("\n"), start=1):
        begun, first = (f"{begun}\n{line}", first) if begun else (line, number)
        if _is_document(begun):
            yield begun, first
            begun = ""
        elif number - first == STATEMENT_LINES_MAX:
            return


def _is_document(text: str) -> bool:
    try:
        tomllib.loads(text)
        return True
    except ValueError:
        return False


def _table(said: Any, counts: dict[Path, int]) -> Path:
    """Of a header alone; a table of an array has its index behind the array's name."""
    path: Path = ()
    while said:
        if isinstance(said, list):
            counts[path] = counts.get(path, -1) + 1
            [said] = said
        else:
            [(key, said)] = said.items()
            path += (key,)
            if isinstance(said, list):
                continue
        if path in counts:
            path += (counts[path],)
    return path


def _paths(said: Any) -> Iterator[Path]:
    """Of each key and element, outer ones first."""
    if isinstance(said, dict):
        inner: Iterator[tuple[str | int, Any]] = iter(said.items())
    elif isinstance(said, list):
        inner = iter(enumerate(said))
    else:
        return
    for key, value in inner:
        yield (key,)
        for path in _paths(value):
            yield key, *path
