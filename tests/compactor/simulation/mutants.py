"""Ways to get it wrong, each of which the simulation must notice.

Every call that syncs is left out, every two neighbouring calls of a function change places, as
the simulated life meets them; and decisions are turned off that are not calls of the disk.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import duckdb
import msgspec

from compactor.jobs.consolidate import merge_footers
from compactor.jobs.duplicates import find_duplicates
from compactor.jobs.erase import _footer as erase_footer
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
        def step(self, name, really, model):
            if name != step:
                super().step(name, really, model)

    return Mutant(f"without {step}", Forgetful)


def swapped(first: str, second: str) -> Mutant:
    class Hasty(SimulatedDisk):
        late: tuple | None = None

        def step(self, name, really, model):
            late, self.late = self.late, None
            if name == first and late is None:
                self.late = (name, really, model)
                return
            if late and name != second:
                super().step(*late)
                late = None
            super().step(name, really, model)
            if late:
                super().step(*late)

    return Mutant(f"{second.partition(' ')[2]} before {first}", Hasty)


def all_mutants(steps: list[str]) -> list[Mutant]:
    """`steps`: those of a life, in their order."""
    own = [step for step in steps if step[0] != "i" and "+" in step]
    syncs = [
        without(step)
        for step in dict.fromkeys(own)
        if step.endswith(("_file", "_folder")) and "sync" in step
    ]
    pairs = dict.fromkeys(pairwise(own))
    swaps = [swapped(a, b) for a, b in pairs if a != b and a.split()[0] == b.split()[0]]
    return [*syncs, *swaps, *DECISIONS]


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


def _in_the_pass_alone(database, table, rows, parts):
    return find_duplicates(database, table, rows, [])


def _only_new_segments(parts, footers):
    merged = merge_footers(parts, footers)
    return msgspec.structs.replace(merged, segments=dict(footers[-1].segments))


def _forget_segments(old, part, subject, count):
    return msgspec.structs.replace(erase_footer(old, part, subject, count), segments={})


DECISIONS = [
    Mutant(
        "without the check of footers",
        target="compactor.jobs.day.Day.leave_out",
        replacement=lambda *_: None,
    ),
    Mutant(
        "without the search for duplicates in parts",
        target="compactor.jobs.compact.find_duplicates",
        replacement=_in_the_pass_alone,
    ),
    Mutant(
        "a merged part names its last part's segments alone",
        target="compactor.jobs.consolidate.merge_footers",
        replacement=_only_new_segments,
    ),
    Mutant(
        "a part forgets its segments when rows are erased",
        target="compactor.jobs.erase._footer",
        replacement=_forget_segments,
    ),
    Mutant(
        "retention does not look at the spool",
        target="compactor.jobs.expire._waits",
        replacement=lambda *_: False,
    ),
    Mutant("nothing is swept", target="compactor.lake.publish.sweep", replacement=lambda *_: 0),
    Mutant(
        "what is set aside is not kept",
        target="compactor.jobs.compact.Compactor._keep_set_aside",
        replacement=lambda *_: None,
    ),
    Mutant(
        "a torn tail is not cut off",
        target="compactor.segments.orphans._end_of_last_line",
        replacement=lambda _, size: size,
    ),
]

# Not noticed, and rightly so
BACK = "a date that a power cut brought back into the lake moves out again"
EQUIVALENT = {
    "+2 make_folder before publish.make_folder +3 sync_folder": "two folders, both in time",
    "+9 unlink before publish.publish +8 sync_folder": "the segment is still there",
    "+15 sync_file before spool._close_orphan +11 truncate": "a torn tail is set aside as a line",
    "+16 sync_folder before publish.exchange +15 sync_file": "both before the exchange",
    "+14 write_file before publish.exchange +12 link": "in a folder that nobody reads yet",
    "+6 sync_folder before publish.sweep +5 sync_folder": "both before the first unlink",
    "without expire.expire +16 sync_folder": BACK,
    "+16 sync_folder before expire.expire +15 remove_folder": BACK,
    "+6 sync_folder before expire.expire +16 sync_folder": BACK,
}
