"""The import rule: report → compactor → ingest, and only modules that are a format cross it."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
STAGES = ("ingest", "compactor", "report")
FORMATS = {"ingest.event", "ingest.segment", "compactor.lake.columns", "compactor.lake.format"}


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_knows_only_the_formats_of_the_stages_before_it(stage):
    files = list((PROJECT / stage).rglob("*.py"))
    assert files
    allowed = {name for name in FORMATS if STAGES.index(name.split(".")[0]) < STAGES.index(stage)}
    for path in files:
        for module in imported_modules(path):
            other = module.split(".")[0]
            if other in STAGES and other != stage:
                assert module in allowed, f"{path.name} imports {module}"
