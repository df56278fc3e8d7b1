"""The longer runs, which the suite does not make, can at least be started."""

import importlib
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
COMMANDS = [
    f"tests.{path.parent.name}.{path.stem}"
    for folder in ("bench", "chaos", "deploy")
    for path in sorted((TESTS / folder).glob("*.py"))
    if path.stem != "__init__"
]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_still_finds_what_it_imports(name):
    pytest.importorskip("playwright") if name.endswith("paint") else None
    importlib.import_module(name)
