"""A metric: a formula over parts, see report.terms.query.parts."""

from dataclasses import dataclass
from typing import Literal

from report.terms.query.parts import Part

Kind = Literal["count", "number", "points"]  # how a change of it is told; points: of percent


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    words: str
    parts: tuple[Part, ...]
    formula: str  # over the merged parts
    kind: Kind = "count"
    of_events: tuple[Part, ...] | None = None  # in place of parts, by an event's dimension
    needs: str = ""  # a dimension
    share_of: Literal["", "everyone", "before_goals", "each_group"] = ""  # whose visitors divide it

    @property
    def is_of_visits(self) -> bool:
        return any(part.over == "visits" for part in self.parts)


def change(kind: Kind, now: float | None, before: float | None) -> float | None:
    """From before to now, in percent; of rates in points. From nothing it is 100."""
    if now is None or before is None:
        return None
    if kind == "points":
        return round(now - before, 2)
    if before == 0:
        return 0.0 if now == 0 else 100.0
    return round(100.0 * (now - before) / before, 2)
