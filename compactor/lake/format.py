"""The lake format. The compactor writes it; the report, and any DuckDB, reads it.

    data/lake/events/  := ("year=" YYYY "/" part)*
    part               := first "_" last "-" id [".recent"] ".parquet"   UTC dates of its rows, ISO
    id                 := created_ms "-" compactor "-" seq
                          13 digits     8 hex         6 digits
    columns            := see columns.STORED, every one in every part
    rows               := sorted by site_id, timestamp
    footer             := key "footfall": JSON, see footer.Footer

A part is the commit record. Its footer names what it was made of, and says what became of it: there
is no manifest that could disagree with the files. A part appears whole under a name that was never
used before, and its bytes never change.

    recent   as a pass wrote it: of one date that is not closed yet, or of closed dates alone.
             It names its segments. Nothing is said in its visit columns.
    settled  whole closed dates, with their visits. The settled parts of a year have no date in
             common, but for a date that has more rows than a part: each of these has some sites.

A part that names a segment says that all rows of it whose dates lie in the part's are in the lake.
A segment is released (deleted) once every date that it has lines of is said so. A line that is not
an event has no date: it is counted at the date on which its segment was opened.
Recent parts become settled, with a settled part that they concern, once their dates are closed and
their segments are gone from the spool for certain. So a segment that is `absorbed` is in the lake
with all of its rows, whatever their dates. A part that supersedes others never stands beside them:
the year's folder is exchanged for a new one.

    lines = rows + duplicates + quarantined + erased                of each date of each part
    accepted lines = the sum of that + lines in the spool

The formats before this one had a folder for each date: see older.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Self

RECENT = ".recent"

_DATE = r"\d{4}-\d{2}-\d{2}"
_PART = re.compile(
    rf"(?:({_DATE})_({_DATE})-)?(\d{{13}}-[0-9a-f]{{8}}-\d{{6}})(\{RECENT})?\.parquet", re.ASCII
)


@dataclass(frozen=True, order=True, slots=True)
class Folder:
    """What parts lie in: a year; in the formats before this one, a date."""

    first: date
    last: date
    name: str

    @classmethod
    def of_year(cls, year: int) -> Self:
        return cls(date(year, 1, 1), date(year, 12, 31), f"year={year:04}")

    @property
    def is_old(self) -> bool:
        """Of a format before this one."""
        return self.first == self.last


@dataclass(frozen=True, order=True, slots=True)
class Part:
    """One Parquet file of the lake. The order is that in which parts were written."""

    id: str  # unique among all parts
    first: date
    last: date
    is_recent: bool
    folder: Folder

    @property
    def name(self) -> str:
        if self.folder.is_old:
            return f"{self.id}.parquet"
        return f"{self.first}_{self.last}-{self.id}{RECENT if self.is_recent else ''}.parquet"

    @property
    def path(self) -> str:
        """Relative to the folder of events."""
        return f"{self.folder.name}/{self.name}"

    @property
    def created_ms(self) -> int:
        """Unix time: when a pass wrote the newest of its rows."""
        return int(self.id[:13])

    @property
    def number(self) -> tuple[str, int]:
        """Of the parts that one compactor wrote, which."""
        _, compactor, seq = self.id.split("-")
        return compactor, int(seq)

    def meets(self, first: date, last: date) -> bool:
        """May it have rows of these dates?"""
        return self.first <= last and first <= self.last


def parse_folder(name: str) -> Folder | None:
    """None for what is not a folder of parts, year=20x5 or date=2025-02-30 say."""
    kind, _, value = name.partition("=")
    try:
        if kind == "year" and len(value) == 4 and value.isdecimal():
            return Folder.of_year(int(value))
        day = date.fromisoformat(value) if kind == "date" and len(value) == 10 else None
    except ValueError:
        return None
    return Folder(day, day, name) if day else None


def parse_part(folder: Folder, name: str) -> Part | None:
    """None for a file that is not a part of that folder."""
    match = _PART.fullmatch(name)
    if match is None:
        return None
    first, last, id, recent = match.groups()
    if folder.is_old:
        return None if first or recent else Part(id, folder.first, folder.last, True, folder)
    try:
        part = Part(
            id, date.fromisoformat(first or ""), date.fromisoformat(last), bool(recent), folder
        )
    except ValueError:
        return None
    return part if folder.first <= part.first <= part.last <= folder.last else None


class PartNames:
    """New names, unique across machines: each compactor process draws its own 32 bits."""

    def __init__(
        self, clock: Callable[[], float] = time.time, compactor: str | None = None
    ) -> None:
        self._clock = clock
        self._compactor = compactor or secrets.token_hex(4)
        self._seq = 0

    def __call__(self, first: date, last: date, is_recent: bool, of: Iterable[Part] = ()) -> Part:
        """For a part of these dates, which are of one year; made of others, or else by a pass.

        What is written anew is no younger: who looks when events came last is not misled.
        """
        self._seq += 1
        created_ms = max((part.created_ms for part in of), default=int(self._clock() * 1000))
        id = f"{created_ms:013d}-{self._compactor}-{self._seq:06d}"
        return Part(id, first, last, is_recent, Folder.of_year(first.year))
