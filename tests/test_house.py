"""The import rule: report → compactor → ingest, and only what is there to be shared crosses it."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
STAGES = ("ingest", "compactor", "report")
SHARED = ("ingest.event", "ingest.segment", "ingest.http", "compactor.lake")


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
