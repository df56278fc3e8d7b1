"""The lake format. The compactor writes it; the report, and any DuckDB, reads it.

    data/lake/events/  := ("date=" YYYY-MM-DD "/" part)*    by the UTC date of `timestamp`
    part               := created_ms "-" compactor "-" seq ".parquet"
                          13 digits     8 hex         6 digits
    columns            := see columns.SCHEMA; `date` stands in the folder's name alone
    rows               := sorted by site_id, timestamp
    footer             := key "footfall": JSON of Footer

A part is the commit record. Its footer names the segments whose rows of that date it holds, all of
them, and what else became of their lines: there is no manifest that could disagree with the files.
A part appears whole under a name that was never used before, and its bytes never change.

A segment is released (deleted) once every date that it has lines of has a part that names it.
A line that is not an event has no date: it is counted at the date on which its segment was opened.
A part that supersedes others holds all of their rows but those that were erased, and names all of
their segments. It never stands beside them: the date's folder is exchanged for a new one.

    rows in a part = the sum of its segments' rows - what was erased
    accepted lines = rows in the lake + erased + duplicates + quarantined + lines in the spool
"""

import errno
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import takewhile
from pathlib import Path
from typing import Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from compactor.lake.columns import FORMAT_VERSION

FOOTER_KEY = b"footfall"
RUN = ".."

PART_NAME = re.compile(r"(\d{13})-([0-9a-f]{8})-(\d{6})\.parquet", re.ASCII)
_FOLDER = re.compile(r"date=(\d{4}-\d{2}-\d{2})", re.ASCII)


class UnreadablePart(ValueError):
    """A file with a part's name that is none, or is damaged: what is in it, nobody knows.

    So nothing of its date is added, merged or moved until it is mended or taken away.
    """

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"{path} is not a part that can be read: {reason}")
        self.path = path


class NewerLake(Exception):
    """A part of a format that this release does not know: nothing of its lake is touched."""

    def __init__(self, path: Path, version: int) -> None:
        super().__init__(
            f"{path} was written by a newer Footfall (format {version}, this one knows up to "
            f"{FORMAT_VERSION}): run that one"
        )


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """What became of one segment's lines of one date: lines = rows + duplicates + quarantined.

    In JSON an array, in this order. It stays as it was when the segment was compacted.
    """

    lines: int = 0
    rows: int = 0
    duplicates: int = 0
    quarantined: int = 0

    def plus(self, other: Self) -> Self:
        sums = (getattr(self, f) + getattr(other, f) for f in self.__struct_fields__)
        return type(self)(*sums)


@dataclass(frozen=True, order=True, slots=True)
class Run:
    """One or more segments of a writer, by their numbers."""

    writer: str
    first: int
    last: int

    @classmethod
    def of(cls, key: str) -> Self:
        """Of a segment's id, or a run's key. Raises ValueError."""
        first, _, last = key.partition(RUN)
        _, writer, seq = first.split("-")
        return cls(writer, int(seq), int((last or first).split("-")[2]))

    def __contains__(self, other: Self) -> bool:
        return self.writer == other.writer and self.first <= other.first and other.last <= self.last


class Footer(msgspec.Struct, frozen=True, kw_only=True):
    """What a part says of its inputs. Fields are only ever added, with a default."""

    version: int = FORMAT_VERSION
    segments: dict[str, Counts] = {}  # by segment id, or by run: runs first, see runs
    duplicates_by_site: dict[str, int] = {}
    supersedes: list[str] = []  # names of parts of the same date
    erased_by_site: dict[str, int] = {}  # rows that `segments` counts and that are gone on request
    not_kept: int = 0  # duplicates that `segments` counts and that quarantine had no room for

    def named(self, ids: AbstractSet[str]) -> set[str]:
        """Which of these segments the part has the rows of."""
        found = self.segments.keys() & ids
        for run in self.runs():
            found |= {id for id in ids if Run.of(id) in run}
        return found

    @property
    def first_segment(self) -> str:
        """The least id among those that it names; empty for none."""
        return min(self.segments, default="").partition(RUN)[0]

    @property
    def last_segment(self) -> str:
        """The greatest."""
        return max((key.rpartition(RUN)[2] for key in self.segments), default="")

    def runs(self) -> list[Run]:
        """They stand before the single segments."""
        return [Run.of(key) for key in takewhile(lambda key: RUN in key, self.segments)]

    def covers(self, other: Self) -> bool:
        """Are all of the other's segments among ours?"""
        rest = other.segments.keys() - self.segments.keys()
        runs = self.runs()
        known = all(any(Run.of(key) in run for run in runs) for key in rest)
        return known and bool(other.segments)

    @property
    def rows(self) -> int:
        """How many the part holds."""
        return sum(counts.rows for counts in self.segments.values()) - self.erased

    @property
    def erased(self) -> int:
        return sum(self.erased_by_site.values())


@dataclass(frozen=True, order=True, slots=True)
class Part:
    """One Parquet file of the lake."""

    date: date
    name: str

    @property
    def path(self) -> str:
        """Relative to the folder of events."""
        return f"date={self.date.isoformat()}/{self.name}"

    @property
    def created_ms(self) -> int:
        """Unix time."""
        return int(self.name[:13])


def superseded(footers: Mapping[str, Footer]) -> set[str]:
    """Of the parts of a date, by name, those whose rows another one has.

    It names them; or it was merged itself, is younger and has all of their segments, as when a copy
    of the lake lacks the part between the two.
    """
    gone = {name for footer in footers.values() for name in footer.supersedes} & footers.keys()
    merged = [(name, footer) for name, footer in footers.items() if footer.supersedes]
    for younger, footer in merged:
        older = [name for name in footers if name < younger and name not in gone]
        gone |= {name for name in older if footer.covers(footers[name])}
    return gone


def parse_folder(name: str) -> date | None:
    """The date of a folder of parts; None for what is not one, date=2025-02-30 say."""
    match = _FOLDER.fullmatch(name)
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def parse_part(day: date, name: str) -> Part | None:
    """None for a file that is not a part."""
    return Part(day, name) if PART_NAME.fullmatch(name) else None


def read_footer(path: Path) -> Footer:
    """Raises FileNotFoundError, or another OSError of the disk; UnreadablePart; NewerLake."""
    with naming(path):
        metadata = pq.read_metadata(path).metadata or {}
        if FOOTER_KEY not in metadata:
            raise ValueError(f"it has no {FOOTER_KEY.decode()!r} in its footer")
        if (version := _version(metadata[FOOTER_KEY])) > FORMAT_VERSION:
            raise NewerLake(path, version)
        return msgspec.json.decode(metadata[FOOTER_KEY], type=Footer)


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

    def __call__(self) -> str:
        self._seq += 1
        return f"{int(self._clock() * 1000):013d}-{self._compactor}-{self._seq:06d}.parquet"
