"""Which parts a store has, and what their footers say: a footer is read once."""

from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet
from datetime import date
from pathlib import Path

from compactor.lake.footer import Counts, Footer, UnreadablePart, read_footer, superseded
from compactor.lake.format import Folder, Part, parse_folder, parse_part
from compactor.lake.store import Store


class Lake:
    def __init__(self, store: Store) -> None:
        self.store = store
        self._footers: dict[Folder, dict[Part, Footer]] = {}  # a part's footer never changes

    def folders(self) -> list[Folder]:
        """First to last; none when there is no lake yet."""
        found, foreign = self._all_folders(), set(self.foreign())
        return [folder for folder in found if folder not in foreign]

    def foreign(self) -> list[Folder]:
        """Folders of an older lake beside years: a copy that somebody put back. Not counted."""
        found = self._all_folders()
        old = [folder for folder in found if folder.is_old]
        years = [folder for folder in found if not folder.is_old] if old else []
        return old if any(self.store.names(folder) for folder in years) else []

    def _all_folders(self) -> list[Folder]:
        return sorted(filter(None, map(parse_folder, self.store.names())))

    def files(self, folder: Folder) -> list[Part]:
        """All that is named like a part, oldest first; no footer is read."""
        return _parts(folder, self.store.names(folder))

    def parts(self, folder: Folder) -> list[Part]:
        """The parts of a folder, oldest first: those that can be read, and whose rows no other
        has. Raises NewerLake."""
        footers = self._read(folder)
        gone = superseded(footers)
        return [part for part in footers if part not in gone]

    def unreadable(self, folder: Folder) -> list[UnreadablePart]:
        """Those that cannot. Each look asks them again."""
        return [trouble for part in self.files(folder) if (trouble := self._trouble(part))]

    def unreadable_parts(self, folder: Folder) -> list[Part]:
        return [part for part in self.files(folder) if self._trouble(part)]

    def superseded(self, folder: Folder) -> list[Part]:
        """Files that a copy of an older lake brought back, and whose rows younger parts have."""
        return sorted(superseded(self._read(folder)))

    def meeting(self, first: date, last: date) -> list[Part]:
        """The parts that may have rows of these dates, which are of one year."""
        parts = self.parts(Folder.of_year(first.year))
        return [part for part in parts if part.meets(first, last)]

    def all_parts(self) -> Iterator[Part]:
        return (part for folder in self.folders() for part in self.parts(folder))

    def dates(self) -> list[date]:
        """Every date that parts have lines of, first to last."""
        days = {
            day
            for part in self.all_parts()
            for day in self.footer(part).dates
            if part.meets(day, day)
        }
        return sorted(days)

    def newest(self) -> Part | None:
        """The part that was written last."""
        files = (part for folder in self.folders() for part in self.files(folder))
        return max(files, key=lambda part: part.created_ms, default=None)

    def absorbs(self, ids: AbstractSet[str]) -> set[str]:
        """Which of these segments are in the lake with all of their rows."""
        return {id for part in self.all_parts() for id in self.footer(part).absorbs(ids)}

    def rows(self, dates: Collection[date]) -> int:
        """How many rows the lake has of these dates."""
        return sum(
            self.footer(part).dates.get(day, Counts()).rows
            for year in {day.year for day in dates}
            for part in self.parts(Folder.of_year(year))
            for day in dates
        )

    def retired_folders(self) -> list[Folder]:
        return sorted(filter(None, map(parse_folder, self.store.retired())))

    def retired(self, folder: Folder) -> list[Part]:
        """The parts of a folder that were moved out and are still there."""
        return _parts(folder, self.store.retired(folder))

    def retired_files(self, first: date, last: date) -> list[Path]:
        """Of what was moved out, the files that may have rows of these dates."""
        return [
            self.store.retired_source(part)
            for folder in self.retired_folders()
            if folder.first <= last and first <= folder.last
            for part in self.retired(folder)
            if part.meets(first, last)
        ]

    def footer(self, part: Part) -> Footer:
        """Read once, ever. Raises FileNotFoundError if the part has gone."""
        known = self._footers.setdefault(part.folder, {})
        footer = known.get(part)
        if footer is None:
            footer = known[part] = read_footer(self.store.source(part))
        return footer

    def forget(self, folder: Folder) -> None:
        self._footers.pop(folder, None)

    def _read(self, folder: Folder) -> dict[Part, Footer]:
        """The footers of all that can be read, oldest first; of what has gone they are let go."""
        files = self.files(folder)
        known = self._footers.get(folder, {})
        for part in known.keys() - set(files):
            del known[part]
        return {part: self.footer(part) for part in files if not self._trouble(part)}

    def _trouble(self, part: Part) -> UnreadablePart | None:
        try:
            self.footer(part)
        except UnreadablePart as error:
            return error
        return None


def _parts(folder: Folder, names: Collection[str]) -> list[Part]:
    return sorted(part for name in names if (part := parse_part(folder, name)))
