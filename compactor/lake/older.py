"""The formats before this one: what their footers say, in the words of today.

    data/lake/events/  := ("date=" YYYY-MM-DD "/" id ".parquet")*       formats 1 and 2
    segments           := {segment_id | first_segment_id ".." last_segment_id: counts}
    counts             := [lines, rows, duplicates, quarantined]

A part had the rows of one date, and its footer named every segment of that date. Many of a writer
that were gone from the spool for certain became one entry, from the first to the last of them.
Format 2 has the columns that say who came, and is else as format 1. `compactor.jobs.upgrade` writes
such a lake anew.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import orjson

from compactor.lake import numbers

VERSION_MAX = 2
_RUN = ".."


class _Footer(msgspec.Struct):
    version: int = 1
    segments: dict[str, tuple[int, int, int, int]] = {}
    duplicates_by_site: dict[str, int] = {}
    erased_by_site: dict[str, int] = {}
    supersedes: list[str] = []  # names of parts of the same date
    not_kept: int = 0


def as_of_today(text: bytes, folder: str) -> bytes:
    """The JSON of a footer, from that of an older part in this folder.

    Raises ValueError.
    """
    old = msgspec.json.decode(text, type=_Footer)
    lines, rows, duplicates, quarantined = (
        sum(counts[n] for counts in old.segments.values()) for n in range(4)
    )
    erased = sum(old.erased_by_site.values())
    if lines != rows + duplicates + quarantined:
        raise ValueError(f"of {lines} lines, not all are accounted for")
    today: dict[str, Any] = {
        "version": old.version,
        "dates": {
            folder.removeprefix("date="): [
                rows - erased,
                duplicates,
                quarantined,
                erased,
                old.not_kept,
            ]
        },
        "segments": sorted(key for key in old.segments if _RUN not in key),
        "absorbed": numbers.joined(
            {writer: [(first, last)]} for writer, first, last in _runs(old.segments)
        ),
        "supersedes": numbers.of(map(_number, old.supersedes)),
        "duplicates_by_site": old.duplicates_by_site,
        "erased_by_site": old.erased_by_site,
    }
    return orjson.dumps(today)


def _runs(keys: dict[str, Any]) -> Iterator[tuple[str, int, int]]:
    for key in keys:
        first, is_run, last = key.partition(_RUN)
        if is_run:
            _, writer, seq = first.split("-")
            yield writer, int(seq), int(last.split("-")[2])


def _number(name: str) -> tuple[str, int]:
    _, compactor, seq = name.removesuffix(".parquet").split("-")
    return compactor, int(seq)
