"""Goes through every way in which a life can be cut short, and looks at what is left of it."""

import hashlib
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from compactor.lake.disk import Disk
from tests.compactor.simulation.disk import SimulatedDisk, make
from tests.compactor.simulation.inspect import Findings, compare, inspect, visible
from tests.compactor.simulation.life import START, Expectation, Life
from tests.compactor.simulation.model import FileSystem, State


@dataclass(frozen=True)
class Failure:
    history: tuple[str, ...]
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return f"after {' > '.join(self.history)}: " + "; ".join(self.problems[:3])


@dataclass
class Moment:
    """A point at which the process may end."""

    step: str
    files: FileSystem
    expects: Expectation
    differs: bool  # from what an unchanged disk would have come to


class Found(Exception):
    """One failure is enough."""


@dataclass
class Report:
    moments: int = 0
    states: int = 0
    distinct: int = 0
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        self.moments += other.moments
        self.states += other.states
        self.distinct += other.distinct
        self.failures += other.failures


class NoSync(Disk):
    """Counts what changes; syncs nothing, for nobody will cut the power."""

    def __init__(self) -> None:
        self.changes = 0

    def sync_file(self, path):
        pass

    sync_folder = sync_file

    def can_exchange(self, folder):
        return True


for _name in (
    "write_file",
    "link",
    "rename",
    "exchange",
    "unlink",
    "remove_folder",
    "make_folder",
    "truncate",
):

    def _counted(self, *arguments, _name=_name):
        self.changes += 1
        getattr(Disk, _name)(self, *arguments)

    setattr(NoSync, _name, _counted)


class Explorer:
    def __init__(
        self,
        folder: Path,
        database: duckdb.DuckDBPyConnection,
        disk: type[SimulatedDisk] = SimulatedDisk,
        failures_max: int = 5,
    ) -> None:
        self._root = folder / "data"
        self._database = database
        self._disk = disk
        self._failures_max = failures_max
        self.report = Report()
        self._known: dict[bytes, Findings] = {}
        self._checked: set[tuple[bytes, int, bool]] = set()

    def live(self, lost_max: int, look: bool = True) -> list[Moment]:
        """One whole life; every moment of it."""
        moments: list[Moment] = []

        def after(step: str) -> None:
            life.expects = seen(life.expects, disk.files)
            moments.append(Moment(step, disk.files.copy(), life.expects, disk.differs))
            if look and disk.differs:
                self._look((step,), disk.files, life.expects, lost_max)

        self._start(START)
        disk = self._disk(self._root, FileSystem(START), after)
        life = Life(self._root, disk, self._database)
        life.live()
        return moments

    def recover_from(
        self, moment: Moment, lost_max: int, more: bool, look: bool = True
    ) -> list[str]:
        """The process ends here; the next one, or the power, may end at any moment of its own.

        `more`: dates are moved out by hand first, and another segment arrives. Returns its steps.
        """
        steps: list[str] = []

        def after(step: str) -> None:
            steps.append(step)
            life.expects = seen(life.expects, disk.files)
            if look and disk.differs:
                self._look((moment.step, step), disk.files, life.expects, lost_max)

        self._start(moment.files.now.state())
        disk = self._disk(self._root, moment.files.copy(), after)
        disk.differs = disk.differs or moment.differs
        life = Life(self._root, disk, self._database)
        life.expects = moment.expects
        if more:
            life.expire()
            life.more()
        life.passes(process="aaaaaaaa").turn(everything=True)
        return steps

    def _look(
        self, history: tuple[str, ...], files: FileSystem, expects: Expectation, lost_max: int
    ) -> None:
        self.report.moments += 1
        self._check(history, files.now.state(), expects, power_cut=False)
        for state in files.after_power_cut(lost_max):
            self._check((*history, "power cut"), state, expects, power_cut=True)

    def _check(
        self, history: tuple[str, ...], state: State, expects: Expectation, power_cut: bool
    ) -> None:
        self.report.states += 1
        key = digest(state, expects.now)
        if (key, id(expects), power_cut) in self._checked:
            return
        self._checked.add((key, id(expects), power_cut))
        problems = visible(state, expects)
        if key not in self._known:
            self._known[key] = self._recover(state, expects)
            self.report.distinct += 1
        problems += compare(self._known[key], expects, power_cut)
        if problems:
            self.report.failures.append(Failure(history, tuple(problems)))
            if len(self.report.failures) >= self._failures_max:
                raise Found

    def _recover(self, state: State, expects: Expectation) -> Findings:
        root = self._root.with_name("recovered")
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        make(state, root)
        disk = NoSync()
        life = Life(root, disk, self._database)
        life.expects = expects
        try:
            life.passes(process="bbbbbbbb").turn(everything=True)
            findings = inspect(read(root))
            disk.changes = 0
            life.passes(process="cccccccc").turn(everything=True)
            if disk.changes:
                findings.problems.append(f"recovering again made {disk.changes} changes")
        except Exception as error:
            return Findings(problems=[f"{type(error).__name__}: {error}"])
        return findings

    def _start(self, state: State) -> None:
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.mkdir(parents=True)
        make(state, self._root)


def seen(expects: Expectation, files: FileSystem) -> Expectation:
    """Remember what a reader could see now: from then on it must not change."""
    parts = {
        path.rpartition("/")[2]: content
        for path, content in files.now.state().items()
        if content is not None and path.startswith("lake/events/")
    }
    if parts.keys() <= expects.parts.keys():
        return expects
    return replace(expects, parts=parts | expects.parts)


def read(root: Path) -> State:
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in root.rglob("*")
        if not path.name.endswith("lock")
    }


def digest(state: State, now: float) -> bytes:
    total = hashlib.blake2b(repr(now).encode(), digest_size=16)
    for path in sorted(state):
        content = state[path]
        total.update(path.encode())
        total.update(b"/" if content is None else hashlib.blake2b(content, digest_size=16).digest())
    return total.digest()


def memory_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
