"""The parameters of a statement: whatever a request gives is bound, and never part of its text."""

import re
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

    def used_in(self, sql: str) -> dict[str, Any]:
        """The parameters that a statement has: DuckDB takes no others."""
        names = set(re.findall(r"\$(given_\d+)", sql))
        return {name: self.parameters[name] for name in names}
