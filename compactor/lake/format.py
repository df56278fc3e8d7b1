"""The lake format. The compactor writes it; the report, and any DuckDB, reads it.

    data/lake/events/  := ("year=" YYYY "/" part)*
    part               := first "_" last "-" id [".recent"] ".parquet"   UTC dates of its rows, ISO
    id                 := created_ms "-" compactor "-" seq
                          13 digits     8 hex         6 digits
    columns            := see columns.STORED, every one in every part
    rows               := sorted by site_id, timestamp
    footer             := key "footfall": JSON of Footer

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

import errno
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from compactor.lake import numbers, older
from compactor.lake.columns import FORMAT_VERSION
from compactor.lake.numbers import Numbers

FOOTER_KEY = b"footfall"
RECENT = ".recent"

_DATE = r"\d{4}-\d{2}-\d{2}"
_PART = re.compile(
    rf"(?:({_DATE})_({_DATE})-)?(\d{{13}}-[0-9a-f]{{8}}-\d{{6}})(\{RECENT})?\.parquet", re.ASCII
)


class UnreadablePart(ValueError):
    """A file with a part's name that is none, or is damaged: what is in it, nobody knows.

    So nothing of its dates is added, merged or moved until it is mended or taken away.
    """

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"{path} is not a part that can be read: {reason}")
        self.path = path

    def concerns(self, day: date) -> bool:
        """May it have rows of this date?"""
        folder = parse_folder(self.path.parent.name)
        part = parse_part(folder, self.path.name) if folder else None
        return part is None or part.meets(day, day)


class NewerLake(Exception):
    """A part of a format that this release does not know: nothing of its lake is touched."""

    def __init__(self, path: Path, version: int) -> None:
        super().__init__(
            f"{path} was written by a newer Footfall (format {version}, this one knows up to "
            f"{FORMAT_VERSION}): run that one"
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


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """What became of the lines of one date: lines = rows + duplicates + quarantined + erased.

    In JSON an array, in this order.
    """

    rows: int = 0  # the part has
    duplicates: int = 0
    quarantined: int = 0
    erased: int = 0  # on request
    not_kept: int = 0  # duplicates that quarantine had no room for

    @property
    def lines(self) -> int:
        return self.rows + self.duplicates + self.quarantined + self.erased

    def plus(self, other: Self) -> Self:
        sums = (getattr(self, f) + getattr(other, f) for f in self.__struct_fields__)
        return type(self)(*sums)

    def without(self, erased: int) -> Self:
        return msgspec.structs.replace(self, rows=self.rows - erased, erased=self.erased + erased)

    @classmethod
    def sum(cls, many: Iterable[Self]) -> Self:
        total = cls()
        for each in many:
            total = total.plus(each)
        return total


class Footer(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What a part says of itself. Fields are only ever added, with a default."""

    version: int = FORMAT_VERSION
    dates: dict[date, Counts] = {}
    segments: list[str] = []  # ids, ascending, of those that may still be in the spool
    absorbed: Numbers = {}  # of segments, by writer: all of their rows are in the lake
    supersedes: Numbers = {}  # of parts, by compactor: their rows are in this one and its siblings
    duplicates_by_site: dict[str, int] = {}
    erased_by_site: dict[str, int] = {}
    sites: tuple[str, str] | None = None  # the least site_id and the greatest, if there are rows

    @cached_property
    def total(self) -> Counts:
        return Counts.sum(self.dates.values())

    def named(self, ids: AbstractSet[str]) -> set[str]:
        """Which of these segments it was made of."""
        return {id for id in self.segments if id in ids} | self.absorbs(ids)

    def absorbs(self, ids: AbstractSet[str]) -> set[str]:
        """Which of these segments are in the lake with all of their rows."""
        if not self.absorbed:
            return set()
        return {id for id in ids if numbers.has(self.absorbed, *writer_and_number(id))}

    def covers(self, other: Self) -> bool:
        """Are all of the other's segments among ours?"""
        ids = set(other.segments)
        known = self.named(ids) == ids and numbers.within(other.absorbed, self.absorbed)
        return known and bool(ids or other.absorbed)


def writer_and_number(id: str) -> tuple[str, int]:
    """Of a segment's id."""
    _, writer, seq = id.split("-")
    return writer, int(seq)


def superseded(footers: Mapping[Part, Footer]) -> set[Part]:
    """Of the parts of a folder those whose rows others have: a copy brought them back.

    In the formats before this one a part that was merged had all segments of those that it was made
    of; that told so where the copy lacked one that was between the two.
    """
    gone = numbers.joined(footer.supersedes for footer in footers.values())
    named = {part for part in footers if numbers.has(gone, *part.number)}
    merged = [part for part, footer in footers.items() if part.folder.is_old and footer.supersedes]
    return named | {
        part
        for part in footers.keys() - named
        for younger in merged
        if part < younger and footers[younger].covers(footers[part])
    }


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


def read_footer(path: Path) -> Footer:
    """Raises FileNotFoundError, or another OSError of the disk; UnreadablePart; NewerLake."""
    with naming(path):
        file = pq.read_metadata(path)
        metadata = file.metadata or {}
        if FOOTER_KEY not in metadata:
            raise ValueError(f"it has no {FOOTER_KEY.decode()!r} in its footer")
        text = metadata[FOOTER_KEY]
        if (version := _version(text)) > FORMAT_VERSION:
            raise NewerLake(path, version)
        if version <= older.VERSION_MAX:
            text = older.as_of_today(text, _part_at(path).first, _sites(file))
        return msgspec.json.decode(text, type=Footer)


def _part_at(path: Path) -> Part:
    folder = parse_folder(path.parent.name)
    part = parse_part(folder, path.name) if folder else None
    if part is None:
        raise ValueError("that is not where a part lies")
    return part


def _sites(file: pq.FileMetaData) -> tuple[str, str] | None:
    """The first and the last, of rows that are sorted by them, as the file's statistics say."""
    if not file.num_rows:
        return None
    column = file.schema.names.index("site_id")
    ends = [file.row_group(n).column(column).statistics for n in (0, file.num_row_groups - 1)]
    return (ends[0].min, ends[1].max) if all(each and each.has_min_max for each in ends) else None


class _Versioned(msgspec.Struct):
    """All that is asked of a footer before it is believed to be one of ours."""

    version: int = 1


def _version(footer: bytes) -> int:
    return msgspec.json.decode(footer, type=_Versioned).version


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What is wrong with a file, and not with the disk, is raised as UnreadablePart."""
    try:
        yield
    except UnreadablePart:
        raise
    except OSError as error:
        if error.errno not in (None, errno.EISDIR):  # None: Arrow, on a torn footer or page
            raise
        raise UnreadablePart(path, error) from error
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise UnreadablePart(path, error) from error


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
