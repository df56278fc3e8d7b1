"""Every end that an upgrade of an old lake may meet: the process's or the power's, at every change.

    python -m tests.chaos.upgrade [--lost 2]

A lake of two years is upgraded on a disk that knows what was synced. After each change all states
are made that a power cut may leave, with up to `--lost` changes lost and files torn. In each of
them the plain glob has every row once, and so it is after the upgrade that follows. The same again
without an exchange of folders, where a reader may find no lake for a moment; again with an upgrade
that was resumed; and again without one of the syncs each, to see that it is missed.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from compactor.lake.disk import CannotExchange
from tests.compactor.old_lake import MortalDisk, counts_of, put, rows_of, upgrade_of
from tests.compactor.simulation.disk import SimulatedDisk, make
from tests.compactor.simulation.explore import digest, memory_folder, read
from tests.compactor.simulation.model import FileSystem, State

HARMLESS = {
    "jobs.upgrade.Upgrade._closed": "a segment that comes back is known by its number",
    "lake.files.make_folder": "the folder above is synced before the last step",
    "lake.files.replace_file": "a year that is not said to be whole is written again",
    "lake.local.LocalStore.publish: self.disk.sync_folder": "the year is synced when it is whole",
    "lake.successor.Successor.clear": "only a lake that is put back from a copy could meet it",
}
DAYS = ("2024-12-31", "2025-01-01", "2026-11-22")  # two that settle, and one that is open


class NetworkDisk(SimulatedDisk):
    def exchange(self, one, other):
        raise CannotExchange(other)


class Forgetful(SimulatedDisk):
    """Leaves out the syncs that this line of the code asks for."""

    line = ""

    def step(self, name, really, model):
        super().step(name, really, (lambda: None) if name == self.line else model)


class Missed(Exception):
    """A row, or a count."""


class Explorer:
    def __init__(self, folder: Path, lost_max: int) -> None:
        self._folder = folder
        self._lost_max = lost_max
        self._known: set[tuple[bytes, bool]] = set()
        make_old(folder / "origin")
        self._start = read(folder / "origin")
        self._truth = rows_of(folder / "origin"), counts_of(folder / "origin")
        self.moments = self.states = 0
        self.steps: list[str] = []

    def run(self, disk: type[SimulatedDisk], start: State | None = None) -> None:
        """Raises Missed."""
        root = self._fresh("data", start or self._start)
        files = FileSystem(start or self._start)
        is_seen = not issubclass(disk, NetworkDisk)

        def after(step: str) -> None:
            self.steps.append(step)
            self.moments += 1
            for state in files.after_power_cut(self._lost_max):
                self.states += 1
                self._check(state, is_seen)

        upgrade_of(root, disk(root, files, after)).run()

    def resumed(self, disk: type[SimulatedDisk]) -> None:
        """From what a process left that ended when its first year was whole."""
        root = self._fresh("data", self._start)
        files = FileSystem(self._start)

        def after(step: str) -> None:
            if any(name.startswith("lake/upgrade/lake/events/year=2025") for name in read(root)):
                raise StopIteration(files.now.state())

        try:
            upgrade_of(root, disk(root, files, after)).run()
        except StopIteration as ended:
            self.run(disk, ended.value)

    def _check(self, state: State, is_seen: bool) -> None:
        key = digest(state, 0.0), is_seen
        if key in self._known:
            return
        root = self._fresh("left", state)
        if is_seen and rows_of(root) != self._truth[0]:
            raise Missed("the glob has other rows")
        upgrade_of(root, MortalDisk()).run()
        if sum(path.name.endswith("notes") for path in root.rglob("*")) != 2:
            raise Missed("what was no part is not there")
        if (rows_of(root), counts_of(root)) != self._truth:
            raise Missed("the upgrade that followed has other rows, or counts")
        if (root / "lake" / "upgrade").exists():
            raise Missed("something is left of it")
        self._known.add(key)

    @property
    def distinct(self) -> int:
        return len(self._known)

    def _fresh(self, name: str, state: State) -> Path:
        root = self._folder / name
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        make(state, root)
        return root


def make_old(data_dir: Path) -> None:
    for n, day in enumerate(DAYS, 1):
        put(data_dir / "lake" / "events", day, n, "ab"[: n % 2 + 1], version=n % 2 + 1)
    (data_dir / "lake" / "events" / f"date={DAYS[0]}" / "notes").write_text("mine")
    (data_dir / "lake" / "events" / "more notes").write_text("mine, too")
    (data_dir / "lake" / "staging").mkdir()
    (data_dir / "spool").mkdir()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lost", type=int, default=1, help="changes that a power cut loses")
    lost = parser.parse_args().lost
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        explorer = Explorer(Path(folder), lost)
        for disk in (SimulatedDisk, NetworkDisk):
            explorer.run(disk)
            explorer.resumed(disk)
        counts = (
            f"{explorer.moments} moments, {explorer.states} states, {explorer.distinct} distinct"
        )
        print(f"{counts}: nothing missed", flush=True)
        syncs = sorted({step for step in explorer.steps if "sync" in step})
        explained = [is_explained(explorer, line) for line in syncs]
        return 0 if all(explained) else 1


def is_explained(explorer: Explorer, line: str) -> bool:
    """Is it missed, or known why it is not?"""
    reason = next((why for start, why in HARMLESS.items() if line.startswith(start)), None)
    missed = is_noticed(explorer, line)
    told = "noticed" if missed else f"harmless, {reason}" if reason else "NOT NOTICED"
    print(f"without {line}: {told}", flush=True)
    return missed or bool(reason)


def is_noticed(explorer: Explorer, line: str) -> bool:
    Forgetful.line = line
    try:
        explorer.run(Forgetful)
        explorer.resumed(Forgetful)
    except (Missed, OSError, ValueError):  # ArrowInvalid is one
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
