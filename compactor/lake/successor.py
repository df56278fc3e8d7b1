"""The lake that is written beside an older one, and takes its place in one step.

    data/lake/upgrade/lake/     a lake of its own, with events and staging; no glob sees it
    data/lake/upgrade/made_of   of each of its years that is whole, what it was made of: JSON
    data/lake/upgrade/old/      the older one, for as long as two renames take

A year counts once it stands in `made_of`, which is written when all of its files last. What else
there is was being written, and is removed. Once the successor has taken the place of the older
lake, that one lies here, and all of it can go.
"""

from collections.abc import Mapping

import msgspec

from compactor.lake.disk import CannotExchange
from compactor.lake.files import make_folder, names_in, remove, replace_file
from compactor.lake.local import LocalStore


class Successor:
    def __init__(self, older: LocalStore) -> None:
        self._older = older
        self._disk = older.disk
        self._folder = older.folder / "upgrade"
        self._old = self._folder / "old"
        self._made_of = self._folder / "made_of"
        self.store = LocalStore(self._folder, older.disk)

    def made_of(self) -> dict[str, str]:
        """By the name of each folder that is whole, what it was made of."""
        try:
            said = msgspec.json.decode(self._made_of.read_bytes(), type=dict[str, str])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}
        return {name: state for name, state in said.items() if name in self.store.names()}

    def keep(self, whole: Mapping[str, str]) -> None:
        """These folders, and nothing else that is there; more can be written then."""
        for folder in (self._folder, self.store.folder, self.store.events, self.store.staging):
            make_folder(folder, self._disk)
        self.store.sweep()
        self.note(whole)
        for name in names_in(self.store.events):
            if name not in whole:
                remove(self.store.events / name, self._disk)

    def note(self, whole: Mapping[str, str]) -> None:
        """That these folders are whole."""
        content = msgspec.json.encode(whole)
        replace_file(self.store.staging, self._made_of, lambda f: f.write(content), self._disk)

    def take_over(self) -> None:
        """Raises Busy. A crash leaves the older lake, or this one in its place.

        Where two folders cannot be exchanged, it may leave none for as long as nobody calls
        `finish`: on such a file system two renames are all that there is.
        """
        self._disk.sync_folder(self.store.events)
        with self._older.without_readers():
            try:
                self._disk.exchange(self.store.events, self._older.events)
            except CannotExchange:
                self._disk.rename(self._older.events, self._old)
                self._sync()  # or a power cut could leave the second one alone
                self._disk.rename(self.store.events, self._older.events)

    def finish(self) -> None:
        """What a crash left between two renames."""
        if self._old.is_dir() and self.store.events.is_dir() and not self._older.names():
            with self._older.without_readers():
                self._disk.rename(self.store.events, self._older.events)

    def clear(self) -> None:
        """Nothing is here any more: what took the older lake's place stays there."""
        if not self._folder.is_dir():
            return
        self._sync()
        if self._made_of.exists():
            self._disk.unlink(self._made_of)
            self._disk.sync_folder(self._folder)
        remove(self._folder, self._disk)

    def _sync(self) -> None:
        for folder in (self._older.folder, self.store.folder, self._folder):
            if folder.is_dir():
                self._disk.sync_folder(folder)
