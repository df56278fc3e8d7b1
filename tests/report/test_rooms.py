"""The rooms of report stand one behind the other: who is inside knows nobody who is outside."""

import ast

import pytest

from tests.processes import PROJECT

# From the inside out; those of one line do not know each other
FLOORS = [
    {"problem", "settings", "terms"},
    {"snapshot", "engine", "http"},
    {"telemetry", "openapi"},
    {"runtime"},
    {"questions"},
    {"operations"},
    {"app", "commands"},
    {"__main__"},
]
FLOOR = {room: n for n, rooms in enumerate(FLOORS) for room in rooms}
REPORT = PROJECT / "report"


def files():
    return [
        path for path in REPORT.rglob("*.py") if path.parent != REPORT or path.stem != "__init__"
    ]


def room_of(path):
    return path.relative_to(REPORT).parts[0].removesuffix(".py")


def imported(path):
    """The rooms of report that a file imports from."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "report":
            _, _, within = node.module.partition(".")
            yield from [within.split(".")[0]] if within else (alias.name for alias in node.names)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(REPORT)))
def test_a_room_knows_only_its_own_and_those_further_in(path):
    room = room_of(path)
    for other in imported(path):
        assert other == room or FLOOR[other] < FLOOR[room], f"{room} imports {other}"
