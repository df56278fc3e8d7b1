"""Events as a question sees them: each with what its visit says, as SQL.

It goes on after the definition of `events`, the site's rows of whole UTC dates; where a visit has
to be known these have the columns of compactor.lake.visits.

    begins   each visit's first page view, and what is in no visit, with what they say
    seen     every row, with what its visit says
    done_n   the visits in which something was done

What is asked for adds to these relations, so `relations` comes last.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from ingest.sites.goals import Goal
from report.terms.buckets import key_sql
from report.terms.query import goals as of_goals
from report.terms.query.bound import Bound
from report.terms.query.date_range import Range
from report.terms.query.dimensions import GOAL, Dimension
from report.terms.query.filters import (
    AND,
    HAS_NOT_DONE,
    NOT,
    OR,
    Filter,
    GoalLeaf,
    Leaf,
    Tree,
    behaviours,
    leaves,
)
from report.terms.zone import to_datetime

VISIT = 'user_id, "date", visit'

Value = Callable[[Dimension], str]


def looks_at_visits(dimensions: Iterable[Dimension], filters: Iterable[Filter]) -> bool:
    """Or do they say of each event by itself what it is?"""
    given = list(filters)
    every = [leaf for each in given for leaf in leaves(each)]
    told = [*dimensions, *(leaf.dimension for leaf in every if isinstance(leaf, Leaf))]
    behaved = any(True for each in given for _ in behaviours(each))
    return behaved or any(each.is_of_visit for each in told)


class Seen:
    def __init__(self, dates: Range, goals: Sequence[Goal], bound: Bound) -> None:
        """`goals`: those that the question names."""
        self._dates = dates
        self._bound = bound
        self._said: dict[str, tuple[str, Dimension]] = {}  # what visits say, by the SQL for it
        self._done: list[str] = []  # the SQL of each done_n
        self._done_by: dict[int, str] = {}  # the name, by its filter's id
        self.is_event = of_goals.is_event(goals, bound)

    def relations(self) -> Iterator[str]:
        if not self._said:
            yield "seen AS NOT MATERIALIZED (SELECT * FROM events)"
        else:
            names = ", ".join(name for name, _ in self._said.values())
            yield f"""begins AS MATERIALIZED (
        SELECT *, {self._told()} FROM events WHERE visit_views IS NOT NULL OR visit IS NULL
    )"""
            yield f"""seen AS NOT MATERIALIZED (
        SELECT * FROM events JOIN (
            SELECT {VISIT}, {names} FROM begins WHERE visit IS NOT NULL
        ) USING ({VISIT})
        UNION ALL BY NAME SELECT * FROM begins WHERE visit IS NULL
    )"""
        yield from self._done

    def _told(self) -> str:
        """Who is in no visit speaks for itself, as far as that is possible."""
        return ", ".join(
            f"{f'if(visit IS NULL, NULL, {sql})' if each.is_of_visit_alone else sql} AS {name}"
            for sql, (name, each) in self._said.items()
        )

    def is_dated(self) -> str:
        """Is the row of the dates?"""
        either = [
            f"""("timestamp" >= {self._bound(to_datetime(start))}"""
            f""" AND "timestamp" < {self._bound(to_datetime(end))})"""
            for start, end in self._dates.intervals
        ]
        return f"({' OR '.join(either or ['false'])})"

    def visits(self, condition: str) -> str:
        """The visits of which it is true: their first page views, as rows of `begins`."""
        begins = "begins" if self._said else "events"
        return f"{begins} WHERE visit_views IS NOT NULL AND {condition}"

    # The value of a dimension

    def of_row(self, dimension: Dimension) -> str:
        """Of a row by itself: of a visit's first page view that is all that is asked of visits."""
        if dimension.interval:
            return key_sql(dimension.interval, self._dates.stretches)
        if dimension.name == GOAL:
            return "goal"
        return dimension.value(self._bound)

    def of_event(self, dimension: Dimension) -> str:
        """Of a row of `seen`, and of `begins`."""
        return self._of_visit(dimension) if dimension.is_of_visit else self.of_row(dimension)

    def of_event_of_visit(self, dimension: Dimension) -> str:
        """The same where a visit is asked about: what it says is said of all of it."""
        is_of_visit = dimension.level == "visit"
        return self._of_visit(dimension) if is_of_visit else self.of_row(dimension)

    def _of_visit(self, dimension: Dimension) -> str:
        sql = self.of_row(dimension)
        name, _ = self._said.setdefault(sql, (f"visit_says_{len(self._said)}", dimension))
        return name

    # Filters

    def passes(self, filters: Sequence[Filter], value: Value) -> str:
        """Do they all hold, of a row whose dimensions have these values? Never null."""
        return " AND ".join(["true", *(self._holds(each, value) for each in filters)])

    def _holds(self, filter: Filter, value: Value) -> str:
        match filter:
            case Leaf(operator, dimension, given, case_sensitive, _):
                return operator.of(value(dimension), dimension, given, self._bound, case_sensitive)
            case GoalLeaf(goals, is_not):
                either = [of_goals.condition(goal, self._bound) for goal in goals]
                found = f"({' OR '.join(either or ['false'])})"
                return f"(NOT {found})" if is_not else found
            case Tree(operator, items) if operator in (AND, OR):
                each = (self._holds(item, value) for item in items)
                return f"({f' {operator} '.join(each)})"
            case Tree(operator, (item,)) if operator == NOT:
                return f"(NOT {self._holds(item, value)})"
            case Tree(operator, (item,)):
                return self._has_done(item, operator == HAS_NOT_DONE)
        raise AssertionError(filter)

    def _has_done(self, item: Filter, is_not: bool) -> str:
        if id(item) not in self._done_by:
            self._done_by[id(item)] = self.visits_with(self._holds(item, self.of_event))
        found = f"coalesce({_among(self._done_by[id(item)])}, false)"
        return f"(NOT {found})" if is_not else found

    def visits_pass(self, filters: Sequence[Filter]) -> str:
        """Of a row of a visit: is there an event in the visit that passes?"""
        return _among(self.visits_with(self.passes(filters, self.of_event_of_visit)))

    def visits_with(self, condition: str) -> str:
        """The name of the visits with an event that fulfils it."""
        name = f"done_{len(self._done)}"
        self._done.append(f"""{name} AS MATERIALIZED (
        SELECT DISTINCT {VISIT} FROM seen
        WHERE visit IS NOT NULL AND {self.is_event} AND {condition}
    )""")
        return name


def _among(visits: str) -> str:
    return f"({VISIT}) IN (SELECT ({VISIT}) FROM {visits})"
