"""The SQL for a question about one site on some dates: what its metrics are worked out of.

It gives, for the groups that it finds, the question's parts (report.terms.query.parts): of events,
of visits and of pages each in rows of their own, null where a row is about others. The rows of
several statements are put together by `merged`.
"""

from collections.abc import Iterator, Sequence

from report.terms.query import goals as of_goals
from report.terms.query.date_range import Range
from report.terms.query.dimensions import EXIT_PAGE, GOAL, dimensions
from report.terms.query.filters import Leaf, is_of_visits, leaves
from report.terms.query.parts import READING, WHO_BY_VISITS, Part, parts_of
from report.terms.query.request import Query
from report.terms.query.seen import VISIT, Seen, looks_at_visits


def needs_visits(query: Query) -> bool:
    """Or is it enough to look at each event by itself?"""
    of_parts = any(part.over != "events" or "visit" in part.sql for part in _parts(query))
    return of_parts or looks_at_visits(query.dimensions, query.filters)


def merged(query: Query, pieces: str) -> str:
    """One row a group, of a relation with the rows of statements."""
    parts = ", ".join(f"{part.merged} AS {part.name}" for part in _parts(query))
    return f"SELECT {_names(query)}{parts} FROM {pieces} {_grouped(query)}"


def statement(query: Query, dates: Range, has_visits: bool) -> str:
    """It goes on after the definition of `events`; `has_visits`: with those of visits."""
    return Statement(query, dates, has_visits).sql()


def _parts(query: Query) -> list[Part]:
    by_event = any(each.level == "event" for each in query.dimensions)
    return list(parts_of(query.metrics, by_event))


def _names(query: Query) -> str:
    return "".join(f"d{n}, " for n in range(len(query.dimensions)))


def _grouped(query: Query) -> str:
    return f"GROUP BY {_names(query).rstrip(', ')}" if query.dimensions else ""


class Statement:
    def __init__(self, query: Query, dates: Range, has_visits: bool) -> None:
        self._query = query
        self._bound = query.bound
        self._seen = Seen(dates, query.goals, query.bound)
        self._names, self._grouped = _names(query), _grouped(query)
        parts = _parts(query)
        if has_visits and self._visits_tell_visitors(dates):
            parts = [WHO_BY_VISITS.get(part, part) for part in parts]
        self._parts = parts

    def sql(self) -> str:
        pieces = dict(self._pieces())  # first: they say what has to be known of visits
        texts = [*self._seen.relations(), *(f"{name} AS ({sql})" for name, sql in pieces.items())]
        told = " UNION ALL BY NAME ".join(f"SELECT * FROM {name}" for name in pieces)
        return f"\n    , {', '.join(texts)}\n    {told}"

    def _visits_tell_visitors(self, dates: Range) -> bool:
        """Who has events has visits, if robots have no part in it and no visit is cut."""
        query = self._query
        every = [leaf for each in query.filters for leaf in leaves(each)]
        return (
            query.bots == "exclude"
            and dates.is_of_whole_utc_dates
            and all(each.is_of_visit for each in query.dimensions)
            and all(map(is_of_visits, query.filters))
            and all(isinstance(leaf, Leaf) and leaf.dimension.is_of_visit for leaf in every)
        )

    def _pieces(self) -> Iterator[tuple[str, str]]:
        """Name and SQL."""
        for over, make in (
            ("events", self._of_events),
            ("visits", self._of_visits),
            ("pages", self._of_pages),
        ):
            parts = [part for part in self._parts if part.over == over]
            if parts:
                yield f"of_{over}", make(parts)

    def _of_events(self, parts: Sequence[Part]) -> str:
        """Grouped by user first, see report.terms.metrics."""
        is_exit = ""
        if any("{is_exit}" in part.sql for part in parts):
            is_exit = f"path = {self._seen.of_event(dimensions()[EXIT_PAGE])}"
        kept = [
            f", {part.sql.format(is_exit=is_exit)} AS {part.name}" for part in parts if part.sql
        ]
        of_users = ", ".join(f"{part.of_users or part.merged} AS {part.name}" for part in parts)
        return f"""
        SELECT {self._names}{of_users} FROM (
            SELECT {self._names}user_id{"".join(kept)} FROM ({self._counted()})
            GROUP BY {self._names}user_id
        ) {self._grouped}"""

    def _of_visits(self, parts: Sequence[Part]) -> str:
        told = ", ".join(f"{part.sql} AS {part.name}" for part in parts)
        seen, filters = self._seen, self._query.filters
        if all(map(is_of_visits, filters)):
            passes = seen.passes(filters, seen.of_event)
        else:
            passes = seen.visits_pass(filters)
        each = enumerate(self._query.dimensions)
        groups = "".join(f"{seen.of_event(dimension)} AS d{n}, " for n, dimension in each)
        visits = seen.visits(f"{seen.is_dated()} AND {passes}")
        return f"""
        SELECT {self._names}{told} FROM (SELECT {groups}* FROM {visits}) {self._grouped}"""

    def _of_pages(self, parts: Sequence[Part]) -> str:
        """Engagement is told of a visit and a page: it is that of the page views that pass."""
        told = ", ".join(f"{part.sql} AS {part.name}" for part in parts)
        return f"""
        SELECT {self._names}{told} FROM (
            SELECT DISTINCT {self._names}{VISIT}, path FROM ({self._counted()})
            WHERE event_type = 'page_view' AND visit IS NOT NULL AND path IS NOT NULL
        ) LEFT JOIN (
            SELECT {VISIT}, path, {READING} FROM events
            WHERE visit IS NOT NULL AND path IS NOT NULL GROUP BY ALL
        ) USING ({VISIT}, path) {self._grouped}"""

    def _counted(self) -> str:
        """The events that pass; by event:goal each as often as there are goals that it fulfils."""
        seen, query = self._seen, self._query
        each = enumerate(query.dimensions)
        groups = "".join(f"{seen.of_event(dimension)} AS d{n}, " for n, dimension in each)
        rows = "(SELECT *, NULL::VARCHAR AS goal FROM seen)"
        if any(dimension.name == GOAL for dimension in query.dimensions):
            fulfilled = of_goals.fulfilled(query.goals, self._bound)
            rows = f"(SELECT *, unnest({fulfilled}) AS goal FROM seen)"
        passes = seen.passes(query.filters, seen.of_event)
        return f"""
            SELECT {groups}* FROM {rows} WHERE {seen.is_event} AND {seen.is_dated()} AND {passes}"""
