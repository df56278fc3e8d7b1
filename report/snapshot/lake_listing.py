"""Which parts the lake has: a folder's listing is kept for as long as it does not change."""

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import date
from itertools import count

from compactor.lake.footer import UnreadablePart, read_footer
from compactor.lake.format import Folder, Part, parse_folder, parse_part
from compactor.lake.store import Store
from report.snapshot.foreign_files import ForeignFiles
from report.snapshot.listed_folder import ListedFolder
from report.snapshot.listed_part import ListedPart, Source, bits
from report.snapshot.named_segments import NamedSegments
from report.snapshot.segment_tail import SeenSegment
from report.terms.period import Dates

TRIES_MAX = 3  # of a folder: it is exchanged a few times a day at most


Hold = Callable[[Sequence[ListedPart]], None]


class LakeListing:
    """May be used by several threads: one lists at a time, and all share what is kept."""

    def __init__(self, store: Store) -> None:
        # Fixed for the life of the process
        self._store = store
        self._lock = threading.Lock()
        self._numbers = count()

        # Listings: of the folders with the mark that there was before, and of each
        self._folders: tuple[Hashable, list[Folder]] | None = None
        self._listed: dict[Folder, ListedFolder] = {}

        self._named = NamedSegments()
        self.gone = 0  # the numbers of parts that are no longer there, as bits
        self._foreign = ForeignFiles()

    @property
    def foreign(self) -> dict[str, str]:
        """What is no part, and why not, by its path below the folder of events."""
        return self._foreign.reasons

    def of(self, dates: Dates, hold: Hold = lambda parts: None) -> list[ListedPart]:
        """The parts of these dates, each folder's held as soon as they are found. Of others
        nothing but the name is looked at.

        Raises FileNotFoundError when some go away again and again before they can be held.
        """
        return [
            listed
            for folder in self.folders()
            if dates.meets(folder.first, folder.last)
            for listed in self._held(folder, dates, hold)
        ]

    def covered(
        self, parts: Iterable[ListedPart], segments: Sequence[SeenSegment], source: Source
    ) -> dict[str, set[date]]:
        """The dates that these parts hold of each of these segments, of those that it has.

        Raises FileNotFoundError when one is gone that has to be asked.
        """
        self._named.forget(self.gone)
        return self._named.covered(parts, segments, source)

    def _held(self, folder: Folder, dates: Dates, hold: Hold) -> list[ListedPart]:
        for _ in range(TRIES_MAX):
            try:
                found = self._of_folder(folder, dates)
                hold(found)
                return found
            except FileNotFoundError as error:  # the folder was exchanged in this moment
                gone = error
        raise gone

    def folders(self) -> list[Folder]:
        """First to last."""
        try:
            mark = self._store.mark()
        except FileNotFoundError:
            return []
        kept = self._folders
        if kept is not None and kept[0] == mark:
            return kept[1]
        with self._lock:
            folders = self._list_folders()
            self._folders = None if mark is None else (mark, folders)
        return folders

    def _list_folders(self) -> list[Folder]:
        names = self._store.names()
        self._foreign.keep("", names)
        by_name = {name: parse_folder(name) for name in names}
        folders = sorted(filter(None, by_name.values()))
        of_years = [folder for folder in folders if not folder.is_old]
        for name, folder in by_name.items():
            if folder is None:
                self._foreign.add(name, "not a folder of parts")
            elif folder.is_old and of_years:  # a lake moves up in one step
                self._foreign.add(name, "a folder of an older format, beside those of this one")
        for gone in self._listed.keys() - set(of_years or folders):
            self._forget(gone)
        return of_years or folders

    def _of_folder(self, folder: Folder, dates: Dates) -> list[ListedPart]:
        try:
            mark = self._store.mark(folder)
        except FileNotFoundError:
            with self._lock:
                self._forget(folder)
            return []
        listed = self._listed.get(folder)
        if listed is None or mark is None or listed.mark != mark or listed.unknown(dates):
            with self._lock:
                listed = self._look(folder, mark, dates)
        return listed.of(dates)

    def _look(self, folder: Folder, mark: Hashable | None, dates: Dates) -> ListedFolder:
        listed = self._listed.get(folder)
        if listed is None or mark is None or listed.mark != mark:
            listed = self._listed[folder] = self._list(folder, mark)
        found, unreadable = [], []
        for part in listed.unknown(dates):
            one = self._find(part)
            if one:
                found.append(one)
            else:
                unreadable.append(part)
        if found or unreadable:
            listed.add(found, unreadable)
        return listed

    def _list(self, folder: Folder, mark: Hashable | None) -> ListedFolder:
        with self._store.shared():  # or an exchange could take names away that are not listed yet
            names = self._store.names(folder)
        self._foreign.keep(folder.name, names)
        parts = {name: parse_part(folder, name) for name in names}
        for name, part in parts.items():
            if part is None:
                self._foreign.add(f"{folder.name}/{name}", "not the name of a part")
        listed = ListedFolder(mark, filter(None, parts.values()))
        before = self._listed.get(folder)
        if before is not None:
            present = set(listed.parts)
            self.gone |= bits(each for each in before.known if each.part not in present)
            listed.add(each for each in before.known if each.part in present)
        return listed

    def _find(self, part: Part) -> ListedPart | None:
        try:
            footer = read_footer(self._store.source(part))
        except UnreadablePart as error:
            self._foreign.add(part.path, f"not a part: {error.__cause__!r}")
            return None
        self._foreign.remove(part.path)  # it may have been mended
        return ListedPart.of(part, footer, next(self._numbers))

    def _forget(self, folder: Folder) -> None:
        """A folder that is no longer there."""
        listed = self._listed.pop(folder, None)
        if listed is not None:
            self._foreign.keep(folder.name, ())
            self.gone |= bits(listed.known)
