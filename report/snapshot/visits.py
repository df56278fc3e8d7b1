"""The relation `events` with visits: what questions about whole visits are asked of.

It has the columns of `events`, `date` and VISIT_SCHEMA, see compactor.lake.visits. Its rows are all
that a site has of whole UTC dates, those of robots too unless they are left out by the selection:
they are in no visit.

Settled parts have the visits of their dates. Of late dates, of which there are rows elsewhere, too,
visits are found over all rows: over those in parts once (late_visits), and what is in the spool
changes the visits of its own users alone.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.columns import DATE
from report.snapshot.definition import Cursor, Definition
from report.snapshot.events import stretches_of
from report.snapshot.late_visits import BATCH_ROWS, EVENT, VISITED, LateVisits, with_visits
from report.snapshot.part_files import files
from report.snapshot.snapshot import Snapshot
from report.snapshot.spool_events import OF_SITE, waiting_sql
from report.terms.selection import Selection

COLUMNS = ", ".join(f'"{name}"' for name in VISITED.names)
SOURCE = f"SELECT {COLUMNS} FROM {{source}} WHERE {{which}}{{conditions}}"
NOT_LATE = f"{OF_SITE} AND {DATE.name} NOT IN (SELECT unnest($late::DATE[]))"
UNCHANGED = "(user_id IS NULL OR user_id NOT IN (SELECT unnest($users::VARCHAR[])))"
FRESH = f" SELECT {EVENT} FROM fresh"


def events_with_visits(
    cursor: Cursor, snapshot: Snapshot, asked: Selection, late_visits: LateVisits
) -> Definition:
    """`asked` is about whole UTC dates, and events of every type: a visit is whole, or it is not
    the visit that there was. Raises Problem."""
    assert asked.zone == "UTC"
    days = late_days(snapshot)
    late = late_visits.of(cursor, snapshot, asked.site_id, days)
    fresh = late_visits.gathered(_fresh(cursor, snapshot, asked.site_id))
    users = pc.unique(fresh["user_id"]).drop_null()
    anew = late.filter(pc.is_in(late["user_id"], users)).select(fresh.schema.names)
    found = with_visits(pa.concat_tables([anew, fresh]).unify_dictionaries())

    parameters: dict[str, Any] = {"site": asked.site_id, "late": days, "users": users.to_pylist()}
    conditions = "".join(asked.conditions(parameters))
    sources = list(_settled(snapshot, days, parameters))
    if len(late):
        sources.append(("late", UNCHANGED if len(users) else "true"))
    if len(found) or not sources:
        sources.append(("found", "true"))
    each = (SOURCE.format(source=source, which=w, conditions=conditions) for source, w in sources)
    tables = {"read": snapshot.cached_rows, "late": late, "found": found}
    used = {name: table for name, table in tables.items() if name in dict(sources)}
    sql = f"WITH events AS NOT MATERIALIZED ({' UNION ALL '.join(each)})"
    return Definition(sql, parameters, used, stretches_of(snapshot, asked.period))


def late_days(snapshot: Snapshot) -> list[date]:
    """Those of the asked dates of which there may be rows in no settled part, first to last."""
    recent = (part for part in snapshot.parts if part.part.is_recent)
    return sorted(snapshot.spool_days.union(*(part.rows.days(snapshot.asked) for part in recent)))


def _settled(
    snapshot: Snapshot, late: Sequence[date], parameters: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """Sources of rows that have their visits, and which of their rows."""
    to_read = [part for part in snapshot.parts_to_read if not part.part.is_recent]
    has_late = any(day in part.rows for part in to_read for day in late)
    for source in files("parts", to_read, snapshot.asked, snapshot.source, parameters):
        yield source, NOT_LATE if has_late else OF_SITE
    if len(snapshot.cached_rows):
        yield "read", NOT_LATE if late else OF_SITE


def _fresh(cursor: Cursor, snapshot: Snapshot, site: str) -> Iterator[pa.RecordBatch]:
    if not snapshot.spool_days:
        return
    parameters: dict[str, Any] = {"site": site}
    sql = "WITH " + waiting_sql(snapshot, OF_SITE, parameters)
    tables = {"live": snapshot.spool_rows, "read": snapshot.cached_rows}
    yield from Definition(sql, parameters, tables, []).stream(cursor, FRESH, BATCH_ROWS)
