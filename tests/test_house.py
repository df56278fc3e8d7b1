"""The house: which room may know which, and where a column is named."""

import ast
import re
from pathlib import Path

import pytest

from ingest.event import COLUMNS

PROJECT = Path(__file__).parent.parent
STAGES = ("ingest", "compactor", "report")
SHARED = ("ingest.event", "ingest.segment", "ingest.http", "ingest.sites", "compactor.lake")


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_knows_only_what_the_stages_before_it_share(stage):
    files = list((PROJECT / stage).rglob("*.py"))
    assert files
    shared = [name for name in SHARED if STAGES.index(name.split(".")[0]) < STAGES.index(stage)]
    for path in files:
        for module in imported_modules(path):
            other = module.split(".")[0]
            if other in STAGES and other != stage:
                inside = any(f"{module}.".startswith(f"{name}.") for name in shared)
                assert inside, f"{path.name} imports {module}"


# What a column is follows from the table in ingest/event.py. Who fills one names it (what derives
# facts, what reads other tools' words), so does the vocabulary that asks for it, and nobody else.
OF_THEIR_OWN = {  # these are more than columns: identity, order and time hang on them
    "site_id",
    "event_type",
    "path",
    "user_id",
    "timestamp",
    "event_id",
    "props",
    "received_at",
}
MAY_NAME_COLUMNS = (
    "ingest/event.py",
    "ingest/context/",
    "ingest/importers/",
    "ingest/dialects/",
    "ingest/sites/",  # what an owner says of columns: not to be kept, or to be a goal
    "compactor/lake/visit",
    "report/terms/",
    "report/questions/robots.py",  # a question about these columns
)


def names_in(path):
    """What a string of the code names: itself, if it is one word, or the words of its SQL."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            is_sql = re.search(r"SELECT|FROM|WHERE|GROUP BY", node.value)
            yield from re.findall(r"\w+", node.value) if is_sql else [node.value]


def test_a_column_is_named_where_it_is_declared_and_nowhere_behind():
    names = {column.name for column in COLUMNS} - OF_THEIR_OWN
    assert "country" in names
    for stage in STAGES:
        for path in (PROJECT / stage).rglob("*.py"):
            place = str(path.relative_to(PROJECT))
            if not place.startswith(MAY_NAME_COLUMNS):
                named = names.intersection(names_in(path))
                assert not named, f"{place} names {named}"
