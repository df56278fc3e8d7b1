"""The filters: which events count, by an operator over a dimension. One row for each operator.

In a query string a filter is a parameter: `path=/a` for what is exactly that, and for any other
operator its name behind two underscores, `path__starts_with=/blog`. An unknown parameter is
refused, so a new operator changes no question that could be asked before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from report.terms.dimensions import DIMENSIONS, Dimension


@dataclass(frozen=True, slots=True)
class Operator:
    """`sql` has the dimension's `{value}` and the `{given}` one."""

    name: str
    words: str
    sql: str
    of_nothing: str = ""  # the SQL where nothing is given; without one, something has to be


IS = Operator("is", "exactly this", "{value} = {given}", of_nothing="{value} IS NULL")
OPERATORS = (IS,)


@dataclass(frozen=True, slots=True)
class Filter:
    dimension: Dimension
    operator: Operator

    @property
    def name(self) -> str:
        """Of its parameter, in a query string and in SQL."""
        suffix = "" if self.operator is IS else f"__{self.operator.name}"
        return self.dimension.name + suffix

    @property
    def is_always_told(self) -> bool:
        """An answer says of it, too, that it was not asked for."""
        return self.operator is IS and self.dimension.is_always_told

    @property
    def type(self) -> Any:
        """What may be given."""
        return Annotated[
            str,
            Meta(
                min_length=None if self.operator.of_nothing else 1,
                max_length=self.dimension.characters_max,
                description=self._words(),
            ),
        ]

    def condition(self, given: str, parameters: dict[str, Any]) -> str | None:
        """The SQL, its parameter bound; None: every event passes."""
        value = self.dimension.sql
        if given:
            parameters[self.name] = given
            return self.operator.sql.format(value=value, given=f"${self.name}")
        if self.dimension.is_required:
            return None  # none is without it
        return self.operator.of_nothing.format(value=value)

    def _words(self) -> str:
        words = f"{self.dimension.words}: {self.operator.words}"
        if not self.operator.of_nothing:
            return f"{words}."
        nothing = "every event" if self.dimension.is_required else "events without one"
        return f"{words}; empty: {nothing}."


FILTERS = {
    each.name: each
    for each in (Filter(d, operator) for operator in OPERATORS for d in DIMENSIONS.values())
}


def parameter_fields() -> list[tuple[str, Any, Any]]:
    """The fields of a struct that takes them."""
    return [(name, each.type | UnsetType, UNSET) for name, each in FILTERS.items()]


def answer_fields() -> list[tuple[str, Any] | tuple[str, Any, Any]]:
    """The fields of an answer that repeats them. Null, or not there: no such filter."""
    return [
        (name, str | None) if each.is_always_told else (name, str | UnsetType, UNSET)
        for name, each in FILTERS.items()
    ]


def conditions(given: Mapping[str, str], parameters: dict[str, Any]) -> Iterator[str]:
    """The SQL of every filter that is given, to go on after another condition."""
    for name, each in FILTERS.items():
        if name in given and (sql := each.condition(given[name], parameters)):
            yield f" AND {sql}"
