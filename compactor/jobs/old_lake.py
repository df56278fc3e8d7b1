"""What a lake of an older format has, which had a folder for each date."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from compactor.lake.footer import UnreadablePart
from compactor.lake.format import Folder, Part
from compactor.lake.listing import Lake
from compactor.lake.local import LocalStore
from compactor.settling import MERGE_PARTS_MAX, PART_ROWS_MAX, HeldPart

GROWTH_MAX = 1.3  # by visits, and by columns that older parts have not
MARGIN_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class OldYear:
    """Its dates of one year."""

    folder: Folder  # of today, that it becomes
    dates: list[Folder]
    bytes: int
    state: str  # another one after any change of its files

    def paths(self, store: LocalStore) -> Iterator[tuple[Folder, Path]]:
        """All that lies there, ours or not."""
        for folder in self.dates:
            for name in store.names(folder):
                yield folder, store.events / folder.name / name


@dataclass(frozen=True, slots=True)
class Contents:
    """What parts say of it, none of which another one supersedes."""

    parts: list[Part]
    rows: int
    unreadable: list[UnreadablePart]


def old_years(lake: Lake) -> list[OldYear]:
    """First to last; none when the lake is of today's format."""
    store = lake.store
    if not isinstance(store, LocalStore):  # older releases knew no other kind
        return []
    dates = [folder for folder in lake.folders() if folder.is_old]
    years = sorted({folder.first.year for folder in dates})
    return [_year(store, year, [d for d in dates if d.first.year == year]) for year in years]


def _year(store: LocalStore, year: int, dates: list[Folder]) -> OldYear:
    found = OldYear(Folder.of_year(year), dates, 0, "")
    total, state = 0, sha256()
    for folder, path in found.paths(store):
        status = path.lstat()
        total += status.st_size
        state.update(f"{folder.name}/{path.name}\0{status.st_size} {status.st_mtime_ns}\n".encode())
    return OldYear(found.folder, dates, total, state.hexdigest())


def contents(lake: Lake, year: OldYear) -> Contents:
    """Reads all of its footers. Raises NewerLake."""
    parts = [part for folder in year.dates for part in lake.parts(folder)]
    unreadable = [error for folder in year.dates for error in lake.unreadable(folder)]
    return Contents(parts, sum(lake.footer(part).total.rows for part in parts), unreadable)


def shares(held: Iterable[HeldPart]) -> Iterator[list[HeldPart]]:
    """Which parts, of one date each, settle together: whole dates, no more than can be merged."""
    share: list[HeldPart] = []
    rows = 0
    for _, group in groupby(sorted(held, key=_day), key=_day):
        of_date = list(group)
        more = sum(sum(each.rows.values()) for each in of_date)
        if share and (rows + more > PART_ROWS_MAX or len(share) + len(of_date) > MERGE_PARTS_MAX):
            yield share
            share, rows = [], 0
        share += of_date
        rows += more
    if share:
        yield share


def _day(held: HeldPart) -> date:
    return held.part.first


def bytes_needed(years: Sequence[OldYear]) -> int:
    """So that these can be written beside what there is."""
    return int(sum(year.bytes for year in years) * GROWTH_MAX) + MARGIN_BYTES
