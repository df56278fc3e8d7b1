"""What is counted of each site is kept as a table of the cursor's own, until the answer is told.

DuckDB bounds these tables like everything that it keeps.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import duckdb

from report.questions.events_of import Asked, events_of
from report.snapshot.definition import Cursor
from report.snapshot.relation import Relation

DROP_TRIES_MAX = 10  # each is over long before the next interrupt


def drop(cursor: Cursor, table: str) -> None:
    """Also where the question was interrupted, which may be done again and again."""
    for _ in range(DROP_TRIES_MAX):
        with suppress(duckdb.InterruptException):
            cursor.execute(f"DROP TABLE IF EXISTS temp.{table}").fetchall()
            return


@contextmanager
def kept(
    cursor: Cursor,
    asked: Asked,
    relations: Sequence[Relation],
    statement: Callable[[Asked], str],
    with_visits: bool,
) -> Iterator[str]:
    """The SQL for what a statement gives of all sites."""
    tables = [f"kept_{nth}" for nth, _ in enumerate(asked.sites)]
    try:
        for table, site, relation in zip(tables, asked.sites, relations, strict=True):
            sql = statement(asked)
            events = events_of(relation, asked, asked.range, site, with_visits)
            events.keep(cursor, table, sql, **asked.bound.used_in(sql))
        yield f"({' UNION ALL '.join(f'FROM temp.{table}' for table in tables)})"
    finally:
        for table in tables:
            drop(cursor, table)
