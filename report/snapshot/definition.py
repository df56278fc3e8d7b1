"""SQL that defines relations for a query to go on with, and what is bound to it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from report.terms.zone import Stretch

_PARAMETER = re.compile(r"\$(\w+)")

Cursor = duckdb.DuckDBPyConnection
Ask = Callable[..., list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Definition:
    """`sql` defines them; of `parameters` those are bound to it that it names."""

    sql: str
    parameters: dict[str, Any]
    tables: dict[str, pa.Table]  # by the names that the SQL has for them
    over: list[Stretch]  # the offsets of the zone, from the first event to the last

    @contextmanager
    def on(self, cursor: Cursor) -> Iterator[Ask]:
        """A function that runs a query, and another one if need be."""
        with self._tables_in(cursor):
            yield lambda query, **more: cursor.execute(
                self.sql + query, self._bound(query, more)
            ).fetchall()

    def keep(self, cursor: Cursor, name: str, query: str, **more: Any) -> None:
        """What a query gives becomes a table of the cursor's own, in place of one of this name."""
        with self._tables_in(cursor):
            create = f"CREATE OR REPLACE TEMP TABLE {name} AS "
            cursor.execute(create + self.sql + query, self._bound(query, more)).fetchall()

    def stream(self, cursor: Cursor, query: str, batch_rows: int) -> Iterator[pa.RecordBatch]:
        with self._tables_in(cursor):
            # not execute(): that has the whole result in memory
            result = cursor.sql(self.sql + query, params=self._bound(query, {}))
            yield from _batches(result.to_arrow_reader(batch_rows))

    def _bound(self, query: str, more: dict[str, Any]) -> dict[str, Any]:
        """DuckDB takes none that is not in the text."""
        named = set(_PARAMETER.findall(self.sql + query))
        return {name: value for name, value in self.parameters.items() if name in named} | more

    @contextmanager
    def _tables_in(self, cursor: Cursor) -> Iterator[None]:
        for name, table in self.tables.items():
            cursor.register(name, table)
        try:
            yield
        finally:
            for name in self.tables:
                cursor.unregister(name)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except OSError as error:  # what Arrow makes of DuckDB's
            if "INTERRUPT" in str(error):
                raise duckdb.InterruptException(str(error)) from error
            raise
        yield batch
