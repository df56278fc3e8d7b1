"""Where parts are: the few things that are done with them, whatever it is that keeps them.

Who works on parts holds parts. A store gives a part's bytes as a file for as long as it has the
part, takes new ones, and changes names in steps that are seen whole or not at all. The local store
(compactor.lake.local) is one; another is its own file, and a line in `open_store`. What a store has
to do is what tests/compactor/test_store.py asks of each.
"""

import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from compactor.lake.disk import Disk
from compactor.lake.format import Folder, Part
from compactor.lake.lock import Wait

Fill = Callable[[BinaryIO], object]

READERS_S_MAX = 60.0


class Store(Protocol):
    # What there is

    def names(self, folder: Folder | None = None) -> list[str]:
        """Of a folder's files, or of the folders: all that is there, ours or not; may be empty."""

    def mark(self, folder: Folder | None = None) -> Hashable | None:
        """What is another one after any change of `names`; None while that cannot be told.

        Raises FileNotFoundError where there is nothing.
        """

    def source(self, part: Part) -> Path:
        """A file with its bytes, for as long as the store has the part."""

    def size(self, part: Part) -> int:
        """Bytes. Raises FileNotFoundError."""

    def glob(self) -> str:
        """What any DuckDB reads all parts by."""

    def retired(self, folder: Folder | None = None) -> list[str]:
        """As `names`, of what was moved out."""

    def retired_source(self, part: Part) -> Path:
        """As `source`, of a part that was moved out."""

    # Changing it; needs the turn

    def prepare(self) -> None:
        """Make what a store needs to be there. Without the turn, too."""

    def sweep(self) -> None:
        """Remove what a crash left."""

    def publish(self, part: Part, fill: Fill) -> None:
        """A part under a name that must not exist yet: FileExistsError."""

    def confirm(self, folder: Folder) -> None:
        """Make the parts last that a folder has already."""

    def can_replace(self) -> bool: ...

    def replace(
        self, folder: Folder, old: Collection[Part], new: Iterable[tuple[Part, Fill]]
    ) -> None:
        """Give a folder `new` parts for `old` ones, in one step.

        Raises CannotExchange, and Busy when a reader shares the store for too long: then, and after
        a crash, it is as it was.
        """

    def remove(self, parts: Sequence[Part]) -> None:
        """Parts whose rows others of their folder have. Raises Busy."""

    def retire(self, parts: Sequence[Part]) -> None:
        """Move parts out. Safe to repeat. Raises Busy."""

    def restore(self, parts: Mapping[Part, Part]) -> None:
        """Move parts back, each to the name of another. Safe to repeat. Raises Busy."""

    def free_bytes(self) -> int: ...

    # Who may do what at the same time

    def turn(self, wait: Wait) -> AbstractContextManager[None]:
        """One compactor at a time. Raises what `wait` raises."""

    def check_turn(self) -> None:
        """Raises Lost if it is no longer ours alone."""

    def shared(self) -> AbstractContextManager[None]:
        """Until it is left, names are only added. For readers."""

    # Readers that want more time than that

    def hold(self, parts: Iterable[Part], place: Path) -> None:
        """Give each part's bytes a file in `place` that stays, at `held(place, part)`.

        Raises FileNotFoundError when a part has gone already; may be called again then.
        """

    def held(self, place: Path, part: Part) -> Path: ...


def open_store(
    data_dir: str | Path,
    disk: Disk | None = None,
    readers_s_max: float = READERS_S_MAX,
    wait: Wait = time.sleep,
) -> Store:
    """The store of a data folder's lake: the choice among the kinds that there are.

    `readers_s_max`: so long a change of names waits for readers, by `wait`.
    """
    from compactor.lake.local import LocalStore

    return LocalStore(data_dir, disk, readers_s_max, wait)
