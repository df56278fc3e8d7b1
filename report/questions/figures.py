"""The figures of a question: the groups that there are, and what its metrics are of each.

What is counted of a site on some dates becomes a table of the cursor's own (statement); all that is
answered is asked of these tables, which DuckDB bounds like everything that it keeps.
"""

from collections.abc import Sequence
from typing import Any, Self

import pyarrow as pa

from report.questions.events_of import events_of
from report.questions.kept import drop
from report.questions.statement import merged, needs_visits, statement
from report.snapshot.definition import Cursor
from report.snapshot.relation import Relation
from report.terms.query.date_range import Range
from report.terms.query.parts import VISITORS
from report.terms.query.request import Query

Row = tuple[Any, ...]


class Figures:
    """Of a question on some dates; `relations` are those of its sites, in their order."""

    def __init__(
        self, name: str, cursor: Cursor, query: Query, dates: Range, relations: Sequence[Relation]
    ) -> None:
        """Counts it all. `name` tells it from others on the same cursor."""
        self._name = name
        self._cursor = cursor
        self._query = query
        self._relations = relations
        named = (metric.share_of for metric in query.metrics)
        self._shares = {share: query.of_visitors(share) for share in dict.fromkeys(named) if share}
        self._tables: list[str] = []
        try:
            self._count(dates)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        for table in self._tables:
            drop(self._cursor, table)

    def _count(self, dates: Range) -> None:
        queries = {"main": self._query} | self._shares
        with_visits = any(map(needs_visits, queries.values()))
        for nth, (site, relation) in enumerate(
            zip(self._query.sites, self._relations, strict=True)
        ):
            events = events_of(relation, self._query, dates, site, with_visits)
            for name, query in queries.items():
                sql = statement(query, dates, with_visits)
                self._tables.append(self._table(name, nth))
                events.keep(self._cursor, self._table(name, nth), sql, **query.bound.used_in(sql))

    def page(self) -> list[Row]:
        """The dimensions and then the metrics of each row that is asked for."""
        order = [f"{each.of[0]}{each.number} {each.direction}" for each in self._query.order]
        order += [f"d{n} asc" for n in self._numbers]
        dimensions = "".join(f"main.d{n} AS d{n}, " for n in self._numbers)
        return self._ask(
            f"""SELECT {dimensions}{self._metrics} FROM main {self._joined("main")}
            ORDER BY {", ".join(f"{each} NULLS LAST" for each in order)}
            LIMIT {self._query.limit:d} OFFSET {self._query.offset:d}"""
        )

    def of(self, groups: Sequence[Row]) -> list[Row]:
        """The metrics of each of these groups; where there is none, those of nothing."""
        columns = [pa.array([each[n] for each in groups], self._type(n)) for n in self._numbers]
        nth = pa.array(range(len(groups)), pa.int64())
        names = ["nth", *(f"d{n}" for n in self._numbers)]
        self._cursor.register("asked", pa.table([nth, *columns], names))
        try:
            same = _same("main", "asked", [(n, n) for n in self._numbers])
            return self._ask(
                f"""SELECT {self._metrics} FROM asked LEFT JOIN main ON {same}
                {self._joined("asked")} ORDER BY nth"""
            )
        finally:
            self._cursor.unregister("asked")

    def count(self) -> int:
        [(count,)] = self._ask("SELECT count(*) FROM main")
        return int(count)

    def are_of_days(self) -> bool:
        """Is there a visitor among them who was made for one day?"""
        if not has_visitors(self._query):
            return False
        [(found,)] = self._ask("SELECT bool_or(of_days) FROM main")
        return bool(found)

    # SQL

    @property
    def _numbers(self) -> range:
        return range(len(self._query.dimensions))

    def _type(self, number: int) -> pa.DataType:
        is_time = self._query.dimensions[number].level == "time"
        return pa.int64() if is_time else pa.string()

    @property
    def _metrics(self) -> str:
        each = enumerate(self._query.metrics)
        return ", ".join(f"{metric.formula} AS m{n}" for n, metric in each)

    def _ask(self, sql: str) -> list[Row]:
        queries = {"main": self._query} | self._shares
        every = (f"{name} AS ({self._merged(name, query)})" for name, query in queries.items())
        return self._cursor.execute(f"WITH {', '.join(every)} {sql}").fetchall()

    def _merged(self, name: str, query: Query) -> str:
        tables = (f"FROM temp.{self._table(name, nth)}" for nth, _ in enumerate(self._relations))
        return merged(query, f"({' UNION ALL BY NAME '.join(tables)})")

    def _table(self, share: str, nth: int) -> str:
        return f"{self._name}_{share}_{nth}"

    def _joined(self, groups: str) -> str:
        """Each share's visitors, beside the groups that they divide."""
        texts = []
        for name, query in self._shares.items():
            there = [self._query.dimensions.index(each) for each in query.dimensions]
            columns = "".join(f"d{n}, " for n, _ in enumerate(there))
            texts.append(
                f"""LEFT JOIN (SELECT {columns}visitors AS {name}_visitors FROM {name}) AS of_{name}
                ON {_same(f"of_{name}", groups, list(enumerate(there)))}"""
            )
        return " ".join(texts)


def _same(left: str, right: str, pairs: Sequence[tuple[int, int]]) -> str:
    """The SQL for groups that are one."""
    each = (f"{left}.d{a} IS NOT DISTINCT FROM {right}.d{b}" for a, b in pairs)
    return " AND ".join(each) or "true"


def has_visitors(query: Query) -> bool:
    return any(VISITORS in metric.parts for metric in query.metrics)
