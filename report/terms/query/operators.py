"""The operators of a filter: [operator, dimension, values]. Values are ORed. One row each.

Every operator but `set` and `not_set` is false of what is absent, and its opposite is true of it.
Absent is asked for as "" or by the word that answers have for it, too: ["is", "visit:source",
["Direct / None"]].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from report.terms.query.bound import Bound
from report.terms.query.dimensions import NOT_SET, Dimension

Takes = Literal["texts", "pattern", "number", "nothing"]


@dataclass(frozen=True, slots=True)
class Operator:
    """`sql` has the dimension's `{value}` and the `{given}` one."""

    name: str
    words: str
    takes: Takes
    sql: str
    is_not: bool = False  # it holds where none of the values does
    example: str = ""

    @property
    def ignores_case(self) -> bool:
        """It can be asked to."""
        return self.takes in ("texts", "pattern")

    def of(
        self,
        value: str,
        dimension: Dimension,
        given: Sequence[str | float],
        bound: Bound,
        case_sensitive: bool,
    ) -> str:
        """The SQL; never null."""
        each = [self._one(value, dimension, one, bound, case_sensitive) for one in given]
        found = f"coalesce({' OR '.join(each or [self.sql.format(value=value)])}, false)"
        return f"(NOT {found})" if self.is_not else found

    def _one(
        self, value: str, dimension: Dimension, given: str | float, bound: Bound, exact: bool
    ) -> str:
        if self.takes == "number":
            number = f"try_cast({value} AS DOUBLE)"
            return self.sql.format(value=number, given=f"{bound(float(given))}::DOUBLE")
        assert isinstance(given, str)
        if self.sql == EQUALS and given in ("", NOT_SET, dimension.absent):
            return f"({value} IS NULL)"
        if self.takes == "pattern":
            pattern = given if exact else f"(?i){given}"
            return self.sql.format(value=value, given=bound(pattern))
        if exact:
            return self.sql.format(value=value, given=bound(given))
        return self.sql.format(value=f"lower({value})", given=f"lower({bound(given)})")


EQUALS = "({value} = {given})"
CONTAINS = "contains({value}, {given})"
MATCHES = "regexp_matches({value}, {given})"
_ROWS = (
    Operator("is", "exactly one of these", "texts", EQUALS, example='["/", "/pricing"]'),
    Operator("is_not", "none of these", "texts", EQUALS, is_not=True, example='["/"]'),
    Operator("contains", "has one of these in it", "texts", CONTAINS, example='["/blog"]'),
    Operator("contains_not", "has none in it", "texts", CONTAINS, is_not=True, example='["blog"]'),
    Operator("matches", "fits one pattern (RE2)", "pattern", MATCHES, example='["^/user/[0-9]+$"]'),
    Operator("matches_not", "fits none", "pattern", MATCHES, is_not=True, example='["^/user/"]'),
    Operator("gt", "a number above this", "number", "({value} > {given})", example="[100]"),
    Operator("gte", "this or above", "number", "({value} >= {given})", example="[100]"),
    Operator("lt", "a number below this", "number", "({value} < {given})", example="[100]"),
    Operator("lte", "this or below", "number", "({value} <= {given})", example="[100]"),
    Operator("set", "there is one", "nothing", "({value} IS NOT NULL)"),
    Operator("not_set", "there is none", "nothing", "({value} IS NULL)"),
)
OPERATORS = {row.name: row for row in _ROWS}
