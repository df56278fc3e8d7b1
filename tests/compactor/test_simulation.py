"""Crashes and power cuts, by the thousand: see tests/compactor/simulation."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from compactor.segments.reader import connect
from tests.compactor.simulation.explore import Explorer, memory_folder
from tests.compactor.simulation.mutants import DECISIONS, kill, without

STATES_MIN = 12_000
EVERY = 100  # of the moments of a life, this suite goes on from one in so many, and each exchange

MUTANTS = [
    without("lake.local.LocalStore.publish: self.disk.sync_file(staged)"),
    without("lake.local.LocalStore.publish: self.disk.sync_folder(target.parent)"),
    *DECISIONS[:1],
]


@pytest.fixture
def folder():
    """In memory where there is such a folder: nothing here depends on a real disk."""
    logging.disable()
    with TemporaryDirectory(dir=memory_folder()) as name:
        yield Path(name)
    logging.disable(logging.NOTSET)


@pytest.fixture
def database():
    with connect() as database:
        yield database


def test_no_crash_and_no_power_cut_loses_or_doubles_an_event(folder, database):
    explorer = Explorer(folder, database)
    moments = explorer.live(lost_max=3)
    for moment in moments:
        if "disk.exchange(" in moment.step:
            explorer.recover_from(moment, 1, more=True)
    for n, moment in enumerate(moments[::EVERY]):
        explorer.recover_from(moment, *((1, True) if n % 2 else (2, False)))
    report = explorer.report
    print(f"{report.moments} moments, {report.states} states, {report.distinct} distinct")
    assert not report.failures, "\n".join(map(str, report.failures))
    assert report.states >= STATES_MIN


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_simulation_notices(mutant, folder, database):
    assert kill(mutant, folder, database)
