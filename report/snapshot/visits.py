"""The relation `events` with visits: what questions about whole visits are asked of.

It has the columns of `events`, `date` (the UTC date of the timestamp) and VISIT_SCHEMA: see
compactor.lake.visits. Its rows are all that a site has of whole UTC dates, those of robots too
unless they are left out by the selection: they are in no visit.
"""

import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.columns import SCHEMA
from compactor.lake.visits import add_visits
from report.problem import Code, Problem
from report.snapshot.definition import Cursor, Definition
from report.snapshot.events import COLUMNS, events
from report.snapshot.snapshot import Snapshot
from report.terms.selection import Selection

ROWS_MAX = 4_000_000  # in memory, some 150 bytes each
BATCH_ROWS = 65_536
SQL = "WITH events AS NOT MATERIALIZED (SELECT * FROM visited)"


def events_with_visits(cursor: Cursor, snapshot: Snapshot, asked: Selection) -> Definition:
    """`asked` is about whole UTC dates, and events of every type: a visit is whole, or it is not
    the visit that there was. Raises Problem when they are too many."""
    assert asked.zone == "UTC"
    defined = events(snapshot, asked)
    batches: list[pa.RecordBatch] = []
    count = 0
    for batch in defined.stream(cursor, f"SELECT {COLUMNS} FROM events", BATCH_ROWS):
        count += batch.num_rows
        if count > ROWS_MAX:
            raise Problem(Code.OVERLOADED, f"More than {ROWS_MAX:,} events; take fewer dates.")
        batches.append(batch)
    rows = pa.Table.from_batches(batches, SCHEMA_OF_ROWS)
    visited = add_visits(rows).append_column("date", pc.cast(rows["timestamp"], pa.date32()))
    return Definition(SQL, {}, {"visited": visited}, defined.over)


SCHEMA_OF_ROWS = pa.schema([field.with_nullable(True) for field in SCHEMA])
