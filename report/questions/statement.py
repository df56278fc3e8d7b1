"""The SQL for a question about one site on some dates: what its metrics are worked out of.

It goes on after the definition of `events`, the site's rows of whole UTC dates; where a visit has
to be known these have the columns of compactor.lake.visits. It gives, for the groups that it finds,
the question's parts (report.terms.query.metrics), each in rows of its own: null where a row is
about others. Rows of several statements are merged by `merged`.

    events → begins   each visit's first page view, with what is asked of visits
           → seen     every event, with what its visit says
           → done_n   the visits in which something was done
           → counted  the events that pass;  visits that pass;  pages that were seen
"""

from collections.abc import Iterator, Sequence

from report.terms.buckets import key_sql
from report.terms.query import goals as of_goals
from report.terms.query.bound import Bound
from report.terms.query.date_range import Range
from report.terms.query.dimensions import EXIT_PAGE, GOAL, Dimension, dimensions
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
    is_of_visits,
    leaves,
)
from report.terms.query.metrics import READING, WHO_BY_VISITS, Part, parts_of
from report.terms.query.request import Query
from report.terms.zone import to_datetime

VISIT = 'user_id, "date", visit'


def needs_visits(query: Query) -> bool:
    """Or is it enough to look at each event by itself?"""
    every = [leaf for each in query.filters for leaf in leaves(each)]
    told = [*query.dimensions, *(leaf.dimension for leaf in every if isinstance(leaf, Leaf))]
    return (
        any(part.over != "events" or "visit" in part.sql for part in _parts(query))
        or any(each.is_of_visit for each in told)
        or any(True for each in query.filters for _ in behaviours(each))
    )


def merged(query: Query, pieces: str) -> str:
    """One row a group, of a relation with the rows of statements."""
    groups = "".join(f"d{n}, " for n in range(len(query.dimensions)))
    parts = ", ".join(f"{part.merged} AS {part.name}" for part in _parts(query))
    grouped = "GROUP BY ALL" if query.dimensions else ""
    return f"SELECT {groups}{parts} FROM {pieces} {grouped}"


def statement(query: Query, range: Range, has_visits: bool) -> str:
    return Statement(query, range, has_visits).sql()


def _parts(query: Query) -> list[Part]:
    by_event = any(each.level == "event" for each in query.dimensions)
    return list(parts_of(query.metrics, by_event))


class Statement:
    def __init__(self, query: Query, range: Range, has_visits: bool) -> None:
        self._query = query
        self._range = range
        self._has_visits = has_visits
        self._bound: Bound = query.bound
        self._of_visit: dict[str, str] = {}  # what `begins` tells, by the SQL for it
        self._done: list[str] = []  # each done_n
        self._done_by: dict[int, str] = {}  # the name, by its filter's id
        self._is_event = self._event_sql()

    def sql(self) -> str:
        """Pieces first: they say what has to be known of visits."""
        pieces = list(self._pieces())
        texts = [*self._seen(), *self._done, *(text for _, text in pieces)]
        return f"""
    , {", ".join(texts)}
    {" UNION ALL BY NAME ".join(f"SELECT * FROM {name}" for name, _ in pieces)}"""

    # Rows

    def _event_sql(self) -> str:
        """What counts as an event: engagement does if it fulfils a goal that is named."""
        scrolls = [goal for goal in self._query.goals if goal.kind == "scroll"]
        fulfils = [of_goals.condition(goal, self._bound) for goal in scrolls]
        engagement = self._bound(of_goals.ENGAGEMENT)
        return f"({' OR '.join([f'event_type <> {engagement}', *fulfils])})"

    def _seen(self) -> Iterator[str]:
        """`begins` and `seen`, if anything is asked of an event's visit."""
        if not self._of_visit:
            yield "seen AS NOT MATERIALIZED (SELECT * FROM events)"
            return
        told = ", ".join(f"{sql} AS {name}" for sql, name in self._of_visit.items())
        yield f"""begins AS MATERIALIZED (
        SELECT {VISIT}, {told} FROM events WHERE visit_views IS NOT NULL
    )"""
        yield f"""seen AS NOT MATERIALIZED (
        SELECT events.*, begins.* EXCLUDE ({VISIT}) FROM events LEFT JOIN begins USING ({VISIT})
    )"""

    def _visit_says(self, sql: str) -> str:
        return self._of_visit.setdefault(sql, f"visit_says_{len(self._of_visit)}")

    def _of_event(self, dimension: Dimension) -> str:
        """The SQL for its value of a row of `seen`."""
        sql = self._value(dimension)
        if not dimension.is_of_visit:
            return sql
        said = self._visit_says(sql)
        return said if dimension.is_of_visit_alone else f"if(visit IS NULL, {sql}, {said})"

    def _value(self, dimension: Dimension) -> str:
        """Of the row itself: of a visit's first page view all that is asked of visits."""
        if dimension.interval:
            return key_sql(dimension.interval, self._range.stretches)
        if dimension.name == GOAL:
            return "goal"
        return dimension.value(self._bound)

    def _in_range(self) -> str:
        either = [
            f"""("timestamp" >= {self._bound(to_datetime(start))}"""
            f""" AND "timestamp" < {self._bound(to_datetime(end))})"""
            for start, end in self._range.intervals
        ]
        return f"({' OR '.join(either or ['false'])})"

    # Filters

    def _passes(self, of_visit: bool) -> str:
        """Of a row of `seen`, or `of_visit` of a visit's first page view."""
        return " AND ".join(
            ["true", *(self._holds(each, of_visit) for each in self._query.filters)]
        )

    def _holds(self, filter: Filter, of_visit: bool) -> str:
        """Never null."""
        match filter:
            case Leaf(operator, dimension, given, case_sensitive, _):
                value = self._value(dimension) if of_visit else self._of_event(dimension)
                return operator.of(value, dimension, given, self._bound, case_sensitive)
            case GoalLeaf(goals, is_not):
                either = [of_goals.condition(goal, self._bound) for goal in goals]
                found = f"({' OR '.join(either or ['false'])})"
                return f"(NOT {found})" if is_not else found
            case Tree(operator, items) if operator in (AND, OR):
                each = (self._holds(item, of_visit) for item in items)
                return f"({f' {operator} '.join(each)})"
            case Tree(operator, (item,)) if operator == NOT:
                return f"(NOT {self._holds(item, of_visit)})"
            case Tree(operator, (item,)):
                return self._has_done(item, operator == HAS_NOT_DONE)
        raise AssertionError(filter)

    def _has_done(self, item: Filter, is_not: bool) -> str:
        name = self._done_by.get(id(item))
        if name is None:
            condition = self._holds(item, of_visit=False)
            name = self._done_by[id(item)] = self._visits_with(condition)
        found = f"coalesce(({VISIT}) IN (SELECT ({VISIT}) FROM {name}), false)"
        return f"(NOT {found})" if is_not else found

    def _visits_with(self, condition: str) -> str:
        """The name of the visits with an event that fulfils it."""
        name = f"done_{len(self._done)}"
        self._done.append(f"""{name} AS MATERIALIZED (
        SELECT DISTINCT {VISIT} FROM seen
        WHERE visit IS NOT NULL AND {self._is_event} AND {condition}
    )""")
        return name

    # Pieces

    def _pieces(self) -> Iterator[tuple[str, str]]:
        """Name and SQL of each relation, as they build on one another; the last are told."""
        parts = _parts(self._query)
        if self._visits_tell_visitors():
            parts = [WHO_BY_VISITS.get(part, part) for part in parts]
        by_source = {
            over: [part for part in parts if part.over == over]
            for over in ("events", "visits", "pages")
        }
        if by_source["events"]:
            yield "of_events", self._events(by_source["events"])
        if by_source["visits"]:
            yield "of_visits", self._visits(by_source["visits"])
        if by_source["pages"]:
            yield "of_pages", self._pages(by_source["pages"])

    def _visits_tell_visitors(self) -> bool:
        """Who has events has visits, if robots have no part in it and no visit is cut."""
        query = self._query
        return (
            self._has_visits
            and query.bots == "exclude"
            and self._range.is_of_whole_utc_dates
            and all(each.level == "visit" for each in query.dimensions)
            and all(map(is_of_visits, query.filters))
        )

    def _groups(self, of_visit: bool) -> str:
        value = self._value if of_visit else self._of_event
        told = (f"{value(each)} AS d{n}, " for n, each in enumerate(self._query.dimensions))
        return "".join(told)

    @property
    def _names(self) -> str:
        return "".join(f"d{n}, " for n in range(len(self._query.dimensions)))

    def _counted(self) -> str:
        """The events that pass; by event:goal as often as there are goals that they fulfil."""
        groups, passes = self._groups(of_visit=False), self._passes(of_visit=False)
        columns = f"{groups}seen.*"
        if not any(each.name == GOAL for each in self._query.dimensions):
            return f"""SELECT {columns}, NULL::VARCHAR AS goal FROM seen
            WHERE {self._is_event} AND {self._in_range()} AND {passes}"""
        cases = (
            f"CASE WHEN {of_goals.condition(goal, self._bound)} THEN {self._bound(goal.name)} END"
            for goal in self._query.goals
        )
        return f"""SELECT {columns}, goal FROM (
            SELECT *, unnest(list_filter([{", ".join(cases)}]::VARCHAR[], lambda x: x IS NOT NULL))
                AS goal FROM seen
        ) AS seen WHERE {self._is_event} AND {self._in_range()} AND {passes}"""

    def _events(self, parts: Sequence[Part]) -> str:
        """Grouped by user first, see report.terms.metrics."""
        is_exit = ""
        if any("{is_exit}" in part.sql for part in parts):
            is_exit = f"path = {self._of_event(dimensions()[EXIT_PAGE])}"
        kept = (
            f", {part.sql.format(is_exit=is_exit)} AS {part.name}" for part in parts if part.sql
        )
        of_users = ", ".join(f"{part.of_users or part.merged} AS {part.name}" for part in parts)
        return f"""of_events AS (
        SELECT {self._names}{of_users} FROM (
            SELECT {self._names}user_id{"".join(kept)}
            FROM ({self._counted()}) GROUP BY {self._names}user_id
        ) {self._grouped}
    )"""

    def _visits(self, parts: Sequence[Part]) -> str:
        told = ", ".join(f"{part.sql} AS {part.name}" for part in parts)
        if all(map(is_of_visits, self._query.filters)):
            passes = self._passes(of_visit=True)
        else:
            name = self._visits_with(self._passes(of_visit=False))
            passes = f"({VISIT}) IN (SELECT ({VISIT}) FROM {name})"
        return f"""of_visits AS (
        SELECT {self._names}{told} FROM (
            SELECT {self._groups(of_visit=True)}* FROM events
            WHERE visit_views IS NOT NULL AND {self._in_range()} AND {passes}
        ) {self._grouped}
    )"""

    def _pages(self, parts: Sequence[Part]) -> str:
        """Engagement is told of a visit and a page: it is that of the page views that pass."""
        told = ", ".join(f"{part.sql} AS {part.name}" for part in parts)
        return f"""of_pages AS (
        SELECT {self._names}{told} FROM (
            SELECT DISTINCT {self._names}{VISIT}, path FROM ({self._counted()})
            WHERE event_type = 'page_view' AND visit IS NOT NULL AND path IS NOT NULL
        ) LEFT JOIN (
            SELECT {VISIT}, path, {READING} FROM events WHERE visit IS NOT NULL AND path IS NOT NULL GROUP BY ALL
        ) USING ({VISIT}, path) {self._grouped}
    )"""

    @property
    def _grouped(self) -> str:
        return f"GROUP BY {self._names.rstrip(', ')}" if self._query.dimensions else ""
