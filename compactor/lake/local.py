"""The store on a local disk: folders and files, links and renames, locks (compactor.lake.lock).

    data/lake/events/    parts, by year: what a plain glob reads
    data/lake/staging/   what is being written; no glob for events sees it
    data/expired/        parts that moved out

It makes files appear whole or not at all, even across a power cut. What an earlier process did and
did not sync is unknown: it may have died between the two. So nothing is built on a name before its
folder was synced by this process.
"""

import math
import os
import time
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from compactor.lake.disk import STAGED, Disk
from compactor.lake.files import make_folder, move, names_in, remove, remove_if_empty
from compactor.lake.format import Folder, Part
from compactor.lake.lock import Lock, Wait
from compactor.lake.store import READERS_S_MAX, Fill

# A folder that changed this shortly before it was looked at may change again within the same tick
# of the clock that stamps it.
SETTLED_NS = 1_000_000_000


class LocalStore:
    def __init__(
        self,
        data_dir: str | Path,
        disk: Disk | None = None,
        readers_s_max: float = READERS_S_MAX,
        wait: Wait = time.sleep,
    ) -> None:
        """`readers_s_max`: so long a change of names waits for readers, by `wait`."""
        self.folder = Path(data_dir) / "lake"
        self.events = self.folder / "events"
        self.staging = self.folder / "staging"
        self.expired = Path(data_dir) / "expired"
        self.disk = disk or Disk()
        self._turn = Lock(self.folder / "compactor.lock")
        self._readers = Lock(self.folder / "lock")
        self._readers_s_max = readers_s_max
        self._wait = wait

    # What there is

    def names(self, folder: Folder | None = None) -> list[str]:
        return names_in(self._path(folder))

    def mark(self, folder: Folder | None = None) -> Hashable | None:
        now_ns = time.time_ns()
        status = os.stat(self._path(folder))
        if now_ns - status.st_mtime_ns <= SETTLED_NS:
            return None
        return status.st_dev, status.st_ino, status.st_mtime_ns

    def source(self, part: Part) -> Path:
        return self.events / part.path

    def size(self, part: Part) -> int:
        return self.source(part).stat().st_size

    def glob(self) -> str:
        return str(self.events.resolve() / "**" / "*.parquet")

    def _path(self, folder: Folder | None) -> Path:
        return self.events / folder.name if folder else self.events

    def retired(self, folder: Folder | None = None) -> list[str]:
        return names_in(self.expired / folder.name if folder else self.expired)

    def retired_source(self, part: Part) -> Path:
        return self.expired / part.path

    # Changing it

    def prepare(self) -> None:
        for folder in (self.folder, self.events, self.staging):
            make_folder(folder, self.disk)
        self._readers.make()

    def publish(self, part: Part, fill: Fill) -> None:
        """Give a part its name once its bytes are safe."""
        staged = self.staging / (part.name + STAGED)
        target = self.source(part)
        make_folder(target.parent, self.disk)
        self.disk.write_file(staged, fill)
        self.disk.sync_file(staged)
        self.disk.link(staged, target)  # not rename(2), which would replace a file of that name
        self.disk.sync_folder(target.parent)  # the new name lasts only once its folder is synced
        self.disk.unlink(staged)

    def confirm(self, folder: Folder) -> None:
        """Who linked them had synced the folders above."""
        self.disk.sync_folder(self._path(folder))

    def can_replace(self) -> bool:
        return self.disk.can_exchange(self.staging)

    def replace(
        self, folder: Folder, old: Collection[Part], new: Iterable[tuple[Part, Fill]]
    ) -> None:
        """It becomes a new folder: a crash leaves that or the old one, never a mixture."""
        with self.without_readers():
            pass  # one that stays for long is met before anything is written
        current = self._path(folder)
        made = self.staging / folder.name
        for side in (self.expired / folder.name, current):  # a move that is lost after the exchange
            if side.is_dir():  # would be out of a folder that is swept
                self.disk.sync_folder(side)
        gone = {part.name for part in old}
        self.sweep()
        self.disk.make_folder(made)
        for path in current.iterdir():
            if path.name not in gone:
                self.disk.link(path, made / path.name)
        for part, fill in new:
            self.disk.write_file(made / part.name, fill)
            self.disk.sync_file(made / part.name)
        self.disk.sync_folder(made)
        with self.without_readers():
            self.disk.exchange(made, current)
        self.sweep()  # `made` is the old one now

    def remove(self, parts: Sequence[Part]) -> None:
        with self.without_readers():
            for part in parts:
                self.disk.unlink(self.source(part))

    def retire(self, parts: Sequence[Part]) -> None:
        self._move(self.events, self.expired, {part: part for part in parts})

    def restore(self, parts: Mapping[Part, Part]) -> None:
        self._move(self.expired, self.events, parts)

    def remove_retired(self, part: Part) -> None:
        source = self.retired_source(part)
        self.disk.unlink(source)
        remove_if_empty(source.parent, self.disk)

    def _move(self, source: Path, target: Path, parts: Mapping[Part, Part]) -> None:
        """A power cut may leave a part at both: its number is known, see Footer.supersedes."""
        self.sweep()  # what an earlier process exchanged, and did not sync, comes first
        folders = {source / part.folder.name for part in parts}
        make_folder(target, self.disk)
        for name in sorted({part.folder.name for part in parts.values()}):
            make_folder(target / name, self.disk)
        with self.without_readers():
            move({source / old.path: target / new.path for old, new in parts.items()}, self.disk)
        for folder in sorted(folders):
            remove_if_empty(folder, self.disk)
        self.disk.sync_folder(source)

    def free_bytes(self) -> int:
        return self.disk.free_bytes(self.folder)

    def sweep(self) -> None:
        """Remove what a crash, or an exchange, left in the folder for staging."""
        leftovers = sorted(self.staging.iterdir())
        if leftovers:
            # a folder here may be the old one of a year: it is needed until the exchange is safe
            self.disk.sync_folder(self.events)
            self.disk.sync_folder(self.staging)
        for path in leftovers:
            remove(path, self.disk)

    # Who may do what at the same time

    @contextmanager
    def turn(self, wait: Wait) -> Iterator[None]:
        with self._turn.held(wait, math.inf):
            yield

    def check_turn(self) -> None:
        self._turn.check()

    def shared(self) -> AbstractContextManager[None]:
        return self._readers.shared()

    def without_readers(self) -> AbstractContextManager[None]:
        """For a change of names. Raises Busy."""
        return self._readers.held(self._wait, self._readers_s_max)

    # Readers that want more time than that

    def hold(self, parts: Iterable[Part], place: Path) -> None:
        """By hard links. Raises OSError where there can be none: see report.snapshot.pinned."""
        for part in parts:
            target = self.held(place, part)
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):  # the same: a name never has a second content
                os.link(self.source(part), target)

    def held(self, place: Path, part: Part) -> Path:
        return place / part.path
