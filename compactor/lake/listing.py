"""Which parts a store has, and what their footers say: a footer is read once."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from compactor.lake.format import (
    Footer,
    Part,
    parse_folder,
    parse_part,
    read_footer,
    superseded,
)
from compactor.lake.store import Store


class Lake:
    def __init__(self, store: Store) -> None:
        self.store = store
        self._footers: dict[date, dict[Part, Footer]] = {}  # a part's footer never changes

    def dates(self) -> list[date]:
        """The dates that there are, first to last; none when there is no lake yet."""
        return sorted(day for name in self.store.names() if (day := parse_folder(name)))

    def files(self, day: date) -> list[Part]:
        """All that is named like a part, oldest first; no footer is read."""
        return sorted(part for name in self.store.names(day) if (part := parse_part(day, name)))

    def parts(self, day: date) -> list[Part]:
        """The parts of a date, oldest first, without those that another one supersedes.

        Raises UnreadablePart, NewerLake.
        """
        parts = self.files(day)
        self._forget(day, parts)
        gone = superseded({part.name: self.footer(part) for part in parts})
        return [part for part in parts if part.name not in gone]

    def superseded(self, day: date) -> list[Part]:
        """Files that a copy of an older lake brought back, and whose rows a younger part has."""
        parts = self.parts(day)
        return [part for part in self.files(day) if part not in parts]

    def newest(self) -> Part | None:
        """The part that was written last."""
        files = (part for day in self.dates() for part in self.files(day))
        return max(files, key=lambda part: part.created_ms, default=None)

    def retired(self, day: date) -> list[Path]:
        """The files of the parts of a date that were moved out and are still there."""
        parts = (parse_part(day, name) for name in self.store.retired(day))
        return [self.store.retired_source(part) for part in parts if part]

    def retired_dates(self) -> list[date]:
        return sorted(day for name in self.store.retired() if (day := parse_folder(name)))

    def rows(self, day: date) -> int:
        """How many rows the parts of a date hold."""
        return sum(self.footer(part).rows for part in self.parts(day))

    def footer(self, part: Part) -> Footer:
        """Read once, ever. Raises FileNotFoundError if the part has gone."""
        known = self._footers.setdefault(part.date, {})
        footer = known.get(part)
        if footer is None:
            footer = known[part] = read_footer(self.store.source(part))
        return footer

    def forget(self, day: date) -> None:
        """Let go of a date's footers: they take a hundred bytes and more a segment."""
        self._footers.pop(day, None)

    def _forget(self, day: date, present: Sequence[Part]) -> None:
        known = self._footers.get(day, {})
        for part in known.keys() - set(present):
            known.pop(part, None)
