"""A Disk whose every change is real, is told to the model, and may be where the process ends."""

import linecache
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

from compactor.lake.disk import Disk
from tests.compactor.simulation.model import FileSystem, State


class Crash(BaseException):
    """The process ends here: nothing catches it, and nothing is tidied up."""


class SimulatedDisk(Disk):
    """`after` is called after each step with its name; it may raise Crash."""

    differs = True  # from the real one, by now: a mutant that has done nothing wrong yet does not

    def __init__(
        self, root: Path, files: FileSystem, after: Callable[[str], None] = lambda step: None
    ) -> None:
        self._root = root
        self.files = files
        self._after = after

    def note(self, step: str) -> None:
        """Something else happened to the same disk."""
        self._after(step)

    def _name(self, path: Path) -> str:
        relative = str(path.relative_to(self._root))
        return "" if relative == "." else relative

    def step(self, name: str, really: Callable[[], object], model: Callable[[], object]) -> None:
        """One change, of the disk and of the model. A mutant does something else here."""
        really()
        model()
        self._after(name)

    def write_file(self, path, fill):
        def model():
            self.files.write(self._name(path), path.read_bytes())

        self.step(_step(), partial(super().write_file, path, fill), model)

    def sync_file(self, path):
        self.step(_step(), lambda: None, lambda: self.files.sync(self._name(path)))

    def sync_folder(self, folder):
        self.step(_step(), lambda: None, lambda: self.files.sync(self._name(folder)))

    def make_folder(self, folder):
        really = partial(super().make_folder, folder)
        self.step(_step(), really, lambda: self.files.make_folder(self._name(folder)))

    def remove_folder(self, folder):
        really = partial(super().remove_folder, folder)
        self.step(_step(), really, lambda: self.files.remove(self._name(folder)))

    def truncate(self, path, size):
        really = partial(super().truncate, path, size)
        self.step(_step(), really, lambda: self.files.truncate(self._name(path), size))

    def link(self, source, target):
        names = self._name(source), self._name(target)
        self.step(_step(), partial(super().link, source, target), lambda: self.files.link(*names))

    def rename(self, source, target):
        names = self._name(source), self._name(target)
        really = partial(super().rename, source, target)
        self.step(_step(), really, lambda: self.files.rename(*names))

    def exchange(self, one, other):
        names = self._name(one), self._name(other)
        really = partial(super().exchange, one, other)
        self.step(_step(), really, lambda: self.files.exchange(*names))

    def can_exchange(self, folder):
        return True  # nothing is built on what it leaves behind

    def unlink(self, path):
        really = partial(super().unlink, path)
        self.step(_step(), really, lambda: self.files.remove(self._name(path)))


def _step() -> str:
    """Which step this is, as the code says it: `lake.files.remove: disk.unlink(path)`."""
    call: FrameType = sys._getframe(1)
    caller = call.f_back
    assert caller
    function = f"{caller.f_globals['__name__']}.{caller.f_code.co_qualname}"
    line = linecache.getline(caller.f_code.co_filename, caller.f_lineno)
    return f"{function.removeprefix('compactor.')}: {line.partition('  #')[0].strip()}"


def make(state: State, root: Path) -> None:
    """Build a folder as `state` describes it."""
    for name in sorted(state):  # a folder sorts before what is in it
        content = state[name]
        if content is None:
            (root / name).mkdir(parents=True, exist_ok=True)
        else:
            (root / name).write_bytes(content)
