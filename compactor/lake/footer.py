"""What a part says of itself: the JSON under the key "footfall" of a Parquet footer. See format."""

import errno
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from compactor.lake import numbers, older
from compactor.lake.columns import FORMAT_VERSION
from compactor.lake.format import Part, parse_folder, parse_part
from compactor.lake.numbers import Numbers

FOOTER_KEY = b"footfall"


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
