"""A lake of an older format is written anew, and replaced in one step.

Year by year: dates that are closed settle, with their visits; what is open, or may still be in the
spool, becomes recent parts. After a crash no year is written again that is whole, if the older lake
still has what it was made of. Until the last step all questions are answered from the older one.

What is no part, or cannot be read, goes along as it is, with the date before its name. So a part
that cannot be read keeps back its date as it did, and is mended where it lies.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path

from compactor.allocator import release
from compactor.jobs.old_lake import OldYear, bytes_needed, contents, old_years, shares
from compactor.jobs.renew import name_of_today, renewed
from compactor.jobs.settle import settled
from compactor.lake.files import link, make_folder, remove
from compactor.lake.footer import UnreadablePart
from compactor.lake.format import Folder, Part, PartNames, parse_folder, parse_part
from compactor.lake.listing import Lake
from compactor.lake.local import LocalStore
from compactor.lake.store import Fill
from compactor.lake.successor import Successor
from compactor.settling import HeldPart, plan_settling
from ingest.segment import list_segments

logger = logging.getLogger("compactor")


class NoRoom(Exception):
    """The disk cannot hold the lake twice."""

    def __init__(self, needed: int, free: int) -> None:
        super().__init__(
            f"the lake is of an older format and has to be written anew: that needs {needed} bytes "
            f"of disk, {free} are free. Until there is room nothing is compacted"
        )


class Upgrade:
    def __init__(
        self,
        lake: Lake,
        store: LocalStore,
        spool: Path,
        next_name: PartNames,
        clock: Callable[[], float],
        first_open: Callable[[], date],
        check: Callable[[], None],
    ) -> None:
        """`store`: that of `lake`; older releases knew no other kind. `first_open`: the first date
        that is not closed yet. `check` is called between row groups; what it raises ends the
        upgrade, to be resumed later."""
        self._lake = lake
        self._store = store
        self._disk = store.disk
        self._spool = spool
        self._next_name = next_name
        self._clock = clock
        self._first_open = first_open
        self._check = check

        # Said once, until it is otherwise
        self._foreign: list[Folder] = []

    def run(self) -> bool:
        """Was the lake an older one? Needs its turn.

        Raises NoRoom, NewerLake, Busy, and whatever `check` raises.
        """
        successor = Successor(self._store)
        successor.finish()
        years = old_years(self._lake)
        if years:
            self._write(years, successor)
            successor.take_over()
        successor.clear()
        self._say_foreign()
        return bool(years)

    def _say_foreign(self) -> None:
        foreign = self._lake.foreign()
        if foreign and foreign != self._foreign:
            names = f"{foreign[0].name} to {foreign[-1].name}"
            logger.error("%d folders of an older lake are left out, %s", len(foreign), names)
        self._foreign = foreign

    def _write(self, years: list[OldYear], successor: Successor) -> None:
        made_of = successor.made_of()
        states = {year.folder.name: year.state for year in years}
        whole = {name: state for name, state in states.items() if made_of.get(name) == state}
        left = [year for year in years if year.folder.name not in whole]
        needed, free = bytes_needed(left), self._store.free_bytes()
        if needed > free:
            raise NoRoom(needed, free)
        logger.info("the lake is written anew: %d of %d years are left", len(left), len(years))
        successor.keep(whole)
        for year in left:
            self._write_year(year, successor.store)
            whole[year.folder.name] = year.state
            successor.note(whole)
        for name in self._store.names():
            if parse_folder(name) is None:
                link(self._store.events / name, successor.store.events / name, self._disk)

    def _write_year(self, year: OldYear, to: LocalStore) -> None:
        started = time.monotonic()
        made = to.events / year.folder.name
        found = contents(self._lake, year)
        damaged = {error.path: error for error in found.unreadable}
        count = None
        while count is None:
            make_folder(made, self._disk)
            parts = [part for part in found.parts if self._store.source(part) not in damaged]
            try:
                count = self._publish(parts, to)
            except UnreadablePart as error:  # its footer can be read, its rows cannot
                damaged[error.path] = error
                remove(made, self._disk)
        self._take_along(year, damaged, made)
        for folder in year.dates:
            self._lake.forget(folder)
        logger.info(
            "%s: %d parts with %d rows became %d, in %.1f s",
            year.folder.name,
            len(found.parts),
            found.rows,
            count,
            time.monotonic() - started,
        )

    def _publish(self, parts: list[Part], to: LocalStore) -> int:
        """Returns how many they became."""
        count = 0
        for part, fill in self._new(parts):
            self._check()
            to.publish(part, fill)
            release()
            count += 1
        return count

    def _new(self, parts: list[Part]) -> Iterator[tuple[Part, Fill]]:
        now_ms = int(self._clock() * 1000)
        merges = [
            merge
            for some in shares(self._closed(parts))
            for merge in plan_settling([], some, now_ms)
        ]
        if merges:
            yield from settled(self._lake, merges, self._next_name, self._check)
        merged = {part for merge in merges for part in merge.parts}
        for part in parts:
            if part not in merged:
                footer = self._lake.footer(part)
                yield renewed(part, self._store.source(part), footer, self._check)

    def _closed(self, parts: list[Part]) -> list[HeldPart]:
        """Those whose dates are closed, and whose segments are gone for certain."""
        if self._spool.is_dir():
            self._disk.sync_folder(self._spool)  # what is gone from it does not come back
        present = {name.id for name in list_segments(self._spool)}
        closed = [part for part in parts if part.last < self._first_open()]
        footers = {part: self._lake.footer(part) for part in closed}
        return [
            HeldPart(part, {day: counts.rows for day, counts in footer.dates.items()})
            for part, footer in footers.items()
            if not footer.named(present)
        ]

    def _take_along(
        self, year: OldYear, damaged: Mapping[Path, UnreadablePart], made: Path
    ) -> None:
        for folder, path in year.paths(self._store):
            part = parse_part(folder, path.name)
            if part is None:
                link(path, made / f"{folder.first}-{path.name}", self._disk)
            elif path in damaged:
                link(path, made / name_of_today(part).name, self._disk)
                logger.error("%s; it goes along as it is", damaged[path])
        self._disk.sync_folder(made)
