"""The parameters of a statement: whatever a request gives is bound, and never part of its text."""

from typing import Any


class Bound:
    """Each value by the name that its SQL has for it."""

    def __init__(self) -> None:
        self.parameters: dict[str, Any] = {}

    def __call__(self, value: Any) -> str:
        """The SQL for a value."""
        name = f"given_{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"
