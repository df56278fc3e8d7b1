"""The filters of POST /query: a list, all of which hold.

    filter := [operator, dimension, values, {"case_sensitive": false}?]
            | ["set" | "not_set", dimension]
            | ["is", "segment", [names]]           saved filters of the site
            | ["and" | "or", [filter, …]] | ["not", filter]
            | ["has_done" | "has_not_done", filter]

An event passes by what it is, and by what its visit is. `has_done` is true of every event of a
visit in which some event passes its filter; of events in no visit it is false. A visit passes if an
event of it does: so every filter sees whole visits, also where they reach beyond the dates asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.sites.goals import Goal, Segment
from report.terms.query import goals as of_goals
from report.terms.query.dimensions import GOAL, Dimension, dimension
from report.terms.query.operators import OPERATORS, Operator
from report.terms.query.wrong import Wrong, unknown

SEGMENT = "segment"
AND, OR, NOT, HAS_DONE, HAS_NOT_DONE = "and", "or", "not", "has_done", "has_not_done"
OF_FILTERS = (AND, OR, NOT, HAS_DONE, HAS_NOT_DONE)
OF_GOALS = ("is", "is_not", "contains", "contains_not")


@dataclass(frozen=True, slots=True)
class Leaf:
    operator: Operator
    dimension: Dimension
    given: tuple[str | float, ...]
    case_sensitive: bool
    at: str  # where it stands


@dataclass(frozen=True, slots=True)
class GoalLeaf:
    """An event that fulfils one of these; or none of them."""

    goals: tuple[Goal, ...]
    is_not: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """`operator` is one of OF_FILTERS."""

    operator: str
    items: tuple["Filter", ...]


Filter = Leaf | GoalLeaf | Tree


def leaves(filter: Filter) -> Iterator[Leaf | GoalLeaf]:
    if isinstance(filter, Tree):
        for item in filter.items:
            yield from leaves(item)
    else:
        yield filter


def behaviours(filter: Filter) -> Iterator[Tree]:
    """Each has_done and has_not_done."""
    if isinstance(filter, Tree):
        if filter.operator in (HAS_DONE, HAS_NOT_DONE):
            yield filter
        for item in filter.items:
            yield from behaviours(item)


def is_of_visits(filter: Filter) -> bool:
    """True of all events of a visit, or of none: the visit's first page view tells it."""
    if isinstance(filter, Tree):
        is_behaviour = filter.operator in (HAS_DONE, HAS_NOT_DONE)
        return is_behaviour or all(map(is_of_visits, filter.items))
    return isinstance(filter, Leaf) and filter.dimension.level == "visit"


def is_about_goals(filter: Filter) -> bool:
    """Of the event that fulfils a goal, or of its props: who converts is asked of all others."""
    return any(isinstance(leaf, GoalLeaf) or leaf.dimension.key for leaf in leaves(filter))


@dataclass(slots=True)
class Reader:
    """Of what a request gives; raises Wrong."""

    goals: Sequence[Goal]
    segments: Sequence[Segment]
    nesting_max: int
    pattern_characters_max: int
    named: list[Goal] = field(default_factory=list)  # goals that stood in filters

    def all_of(self, given: Sequence[Any], at: str) -> tuple[Filter, ...]:
        return tuple(self.filter(each, f"{at}[{n}]") for n, each in enumerate(given))

    def filter(self, given: Any, at: str, depth: int = 1, within: bool = False) -> Filter:
        """`within`: a has_done."""
        if depth > self.nesting_max:
            raise Wrong(at, f"filters may stand in one another {self.nesting_max} deep")
        if not isinstance(given, list) or not given:
            raise Wrong(at, 'a filter is a list, as ["is", "event:page", ["/"]]')
        if not isinstance(given[0], str):
            raise Wrong(f"{at}[0]", "an operator is a text")
        if given[0] in OF_FILTERS:
            return self._tree(given, at, depth, within)
        if given[0] not in OPERATORS:
            raise unknown(f"{at}[0]", "operator", given[0], [*OPERATORS, *OF_FILTERS])
        if given[1:2] == [SEGMENT]:
            return self._segment(given, at, depth, within)
        return self._leaf(OPERATORS[given[0]], given, at)

    def _tree(self, given: list[Any], at: str, depth: int, within: bool) -> Filter:
        operator = given[0]
        is_list = operator in (AND, OR)
        if len(given) != 2 or (is_list and not (isinstance(given[1], list) and given[1])):
            what = "a list of filters" if is_list else "one filter"
            raise Wrong(at, f"{operator} takes {what}")
        is_behaviour = operator in (HAS_DONE, HAS_NOT_DONE)
        if is_behaviour and within:
            raise Wrong(f"{at}[0]", f"{operator} cannot stand within another one")
        given_items = given[1] if is_list else [given[1]]
        below = f"{at}[1]" + ("[{n}]" if is_list else "")
        items = (
            self.filter(each, below.format(n=n), depth + 1, within or is_behaviour)
            for n, each in enumerate(given_items)
        )
        return Tree(operator, tuple(items))

    def _segment(self, given: list[Any], at: str, depth: int, within: bool) -> Filter:
        if given[0] != "is" or len(given) != 3 or not isinstance(given[2], list):
            raise Wrong(at, 'a segment is asked for as ["is", "segment", ["name"]]')
        known = {segment.name: segment for segment in self.segments}
        found: list[Filter] = []
        for n, name in enumerate(given[2]):
            if name not in known:
                raise unknown(f"{at}[2][{n}]", "segment", name, known)
            where = f"{at}[2][{n}]"  # what is wrong with the segment is said of its name
            items = (self.filter(each, where, depth + 2, within) for each in known[name].filters)
            found.append(Tree(AND, tuple(items)))
        return Tree(OR, tuple(found))

    def _leaf(self, operator: Operator, given: list[Any], at: str) -> Filter:
        if len(given) < 2 or not isinstance(given[1], str):
            raise Wrong(at, f"{operator.name} takes a dimension, as event:page")
        of = dimension(given[1], f"{at}[1]")
        if of.level == "time":
            raise Wrong(f"{at}[1]", "time is no filter; date_range says which")
        values = self._values(operator, given, at)
        if operator.takes == "number" and not of.key:
            raise Wrong(f"{at}[0]", f"{operator.name} compares numbers: those of event:props:KEY")
        exact = self._case_sensitive(operator, given, at)
        if of.name == GOAL:
            return self._goal(operator, values, at, exact)
        return Leaf(operator, of, values, exact, at)

    def _values(self, operator: Operator, given: list[Any], at: str) -> tuple[str | float, ...]:
        if operator.takes == "nothing":
            if len(given) != 2:
                raise Wrong(at, f"{operator.name} takes a dimension and nothing else")
            return ()
        if len(given) < 3 or not isinstance(given[2], list) or not given[2]:
            raise Wrong(f"{at}[2]", f"{operator.name} takes a list of values")
        for n, value in enumerate(given[2]):
            where = f"{at}[2][{n}]"
            if operator.takes == "number":
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise Wrong(where, f"{operator.name} takes a number")
                if abs(value) > 1e300:
                    raise Wrong(where, "a number is at most 1e300")
            elif not isinstance(value, str):
                raise Wrong(where, f"{operator.name} takes texts")
            elif operator.takes == "pattern" and len(value) > self.pattern_characters_max:
                most = self.pattern_characters_max
                raise Wrong(where, f"a pattern has at most {most} characters")
        return tuple(given[2])

    def _case_sensitive(self, operator: Operator, given: list[Any], at: str) -> bool:
        if len(given) < 4:
            return True
        said = given[3]
        if (
            len(given) > 4
            or not operator.ignores_case
            or not isinstance(said, dict)
            or said.keys() - {"case_sensitive"}
            or not isinstance(said.get("case_sensitive", True), bool)
        ):
            raise Wrong(f"{at}[3]", 'after the values only {"case_sensitive": false} may stand')
        return bool(said.get("case_sensitive", True))

    def _goal(
        self, operator: Operator, given: Sequence[str | float], at: str, exact: bool
    ) -> GoalLeaf:
        if operator.name not in OF_GOALS:
            raise Wrong(f"{at}[0]", f"event:goal takes {', '.join(OF_GOALS)}")
        found: dict[str, Goal] = {}
        for n, each in enumerate(given):
            text = str(each)
            if not operator.name.startswith("contains") and exact:
                found[text] = of_goals.named(self.goals, text, f"{at}[2][{n}]")
            for goal in self.goals:
                if _fits(operator, goal.name, text, exact):
                    found[goal.name] = goal
        self.named += found.values()
        return GoalLeaf(tuple(found.values()), operator.is_not)


def _fits(operator: Operator, name: str, given: str, exact: bool) -> bool:
    if not exact:
        name, given = name.lower(), given.lower()
    return given in name if operator.name.startswith("contains") else given == name
