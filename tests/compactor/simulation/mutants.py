"""Ways to get it wrong, each of which the simulation must notice.

Every call that syncs is left out, every two neighbouring calls of a function change places, as
the simulated life meets them; and decisions are turned off that are not calls of the disk.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import duckdb
import msgspec

from compactor.jobs.duplicates import find_duplicates
from compactor.jobs.erase import _footer as erase_footer
from compactor.jobs.settle import _said
from compactor.lake.columns import STORED
from tests.compactor.simulation.disk import SimulatedDisk
from tests.compactor.simulation.explore import Explorer, Failure, Found


@dataclass(frozen=True)
class Mutant:
    name: str
    disk: type[SimulatedDisk] = SimulatedDisk
    target: str = ""  # what is replaced, if it is not a call of the disk
    replacement: object = None

    @contextmanager
    def applied(self) -> Iterator[type[SimulatedDisk]]:
        if not self.target:
            yield self.disk
            return
        with patch(self.target, self.replacement):
            yield self.disk


def without(step: str) -> Mutant:
    class Forgetful(SimulatedDisk):
        differs = False

        def step(self, name, really, model):
            if name != step:
                super().step(name, really, model)
            else:
                self.differs = True

    return Mutant(f"without {step}", Forgetful)


def swapped(first: str, second: str) -> Mutant:
    class Hasty(SimulatedDisk):
        differs = False
        late: tuple | None = None

        def step(self, name, really, model):
            late, self.late = self.late, None
            if name == first and late is None:
                self.late = (name, really, model)
                return
            if late and name != second:
                super().step(*late)
                late = None
            self.differs = self.differs or late is not None
            super().step(name, really, model)
            if late:
                super().step(*late)

    return Mutant(f"{first}, after {second.partition(': ')[2]}", Hasty)


def all_mutants(steps: list[str]) -> list[Mutant]:
    """`steps`: those of a life, in their order."""
    own = [step for step in steps if "(" in step]  # others are ingest's, and notes
    syncs = [without(step) for step in dict.fromkeys(own) if ".sync_" in step]
    pairs = dict.fromkeys(pairwise(own))
    swaps = [swapped(a, b) for a, b in pairs if a != b and function(a) == function(b)]
    return [*syncs, *swaps, *DECISIONS]


def function(step: str) -> str:
    return step.partition(":")[0]


def kill(mutant: Mutant, folder: Path, database: duckdb.DuckDBPyConnection) -> Failure | None:
    """What the simulation says of it; None if it sees nothing wrong."""
    with mutant.applied() as disk:
        explorer = Explorer(folder, database, disk, failures_max=1)
        try:
            moments = explorer.live(lost_max=2)
            for more in (False, True):
                for moment in moments:
                    explorer.recover_from(moment, lost_max=1, more=more)
        except Found:
            return explorer.report.failures[0]
        except Exception as error:
            return Failure(("the life itself",), (f"{type(error).__name__}: {error}",))
    return None


def _in_the_pass_alone(database, table, rows, dates, parts):
    return find_duplicates(database, table, rows, dates, [])


def _absorbs_nothing(footers):
    return msgspec.structs.replace(_said(footers), absorbed={})


def _forget_segments(old, part, count):
    return msgspec.structs.replace(erase_footer(old, part, count), segments=[], absorbed={})


def _as_they_were(merged, check):
    return (rows for _, rows in merged.groups(STORED.names, check))


DECISIONS = [
    Mutant(
        "without the check of footers",
        target="compactor.jobs.compact.Compactor._covered",
        replacement=lambda self, folder, days, inputs: {day: set() for day in days},
    ),
    Mutant(
        "without the search for duplicates in parts",
        target="compactor.jobs.compact.find_duplicates",
        replacement=_in_the_pass_alone,
    ),
    Mutant(
        "a settled part absorbs nothing",
        target="compactor.jobs.settle._said",
        replacement=_absorbs_nothing,
    ),
    Mutant(
        "a settled part has the visits that its rows had before",
        target="compactor.jobs.settle._with_visits",
        replacement=_as_they_were,
    ),
    Mutant(
        "a part forgets its segments when rows are erased",
        target="compactor.jobs.erase._footer",
        replacement=_forget_segments,
    ),
    Mutant(
        "retention does not look at the spool",
        target="compactor.jobs.expire.list_segments",
        replacement=lambda spool: [],
    ),
    Mutant(
        "nothing is swept",
        target="compactor.lake.local.LocalStore.sweep",
        replacement=lambda _: None,
    ),
    Mutant(
        "what is set aside is not kept",
        target="compactor.jobs.compact.Compactor._keep_set_aside",
        replacement=lambda *_: Counter(),
    ),
    Mutant(
        "a torn tail is not cut off",
        target="compactor.segments.orphans._end_of_last_line",
        replacement=lambda _, size: size,
    ),
    Mutant(
        "ingest does not sync the folder that it makes the spool in",
        target="tests.compactor.simulation.life.Life.sync_data_folder",
        replacement=lambda _: None,
    ),
]

# Not noticed, and rightly so
BACK = "a date that a power cut brought back into the lake moves out again"
STORE = "lake.local.LocalStore"
EQUIVALENT = {
    "lake.files.make_folder: disk.sync_folder(folder.parent), after disk.make_folder(folder)": (
        "two folders, both in time"
    ),
    f"{STORE}.publish: self.disk.sync_folder(target.parent), after self.disk.unlink(staged)": (
        "the segment is still there"
    ),
    "segments.orphans._close_orphan: disk.truncate(path, whole), after disk.sync_file(path)": (
        "a torn tail is set aside as a line"
    ),
    f"{STORE}.replace: self.disk.sync_file(made / part.name), "
    "after self.disk.sync_folder(made)": "both before the exchange",
    f"{STORE}.replace: self.disk.link(path, made / path.name), "
    "after self.disk.write_file(made / part.name, fill)": "in a folder that nobody reads yet",
    f"{STORE}.sweep: self.disk.sync_folder(self.events), "
    "after self.disk.sync_folder(self.staging)": "both before the first unlink",
    "lake.files.replace_file: disk.sync_folder(target.parent), after disk.sync_folder(staging)": (
        "both before the part that counts the lines"
    ),
    "without upkeep.Upkeep._settle: self._disk.sync_folder(self._spool)": (
        "a segment that comes back is absorbed, too"
    ),
    "a settled part absorbs nothing": (
        "none comes back whose release was synced; tests/compactor/test_passes.py puts one back"
    ),
    f"without {STORE}._move: self.disk.sync_folder(source)": BACK,
    "without segments.quarantine.Quarantine.retire: self._disk.sync_folder(self.folder)": BACK,
}
