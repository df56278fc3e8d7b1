"""The one place that says what an event is: the SQL relation `events` of a selection."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from compactor.lake.columns import SCHEMA
from report.snapshot.definition import Definition
from report.snapshot.part_files import files
from report.snapshot.snapshot import Snapshot
from report.snapshot.spool_events import OF_SITE, waiting_sql
from report.terms.period import Period
from report.terms.selection import Selection
from report.terms.zone import DAY_US, Stretch, midnight, stretches, to_datetime

EVENTS = """
    {name} AS NOT MATERIALIZED (
        {sources}
    )
"""
SOURCE = "SELECT {columns} FROM {source} WHERE {of_site} {conditions}"
COLUMNS = ", ".join('"timestamp"' if name == "timestamp" else name for name in SCHEMA.names)


def events(snapshot: Snapshot, asked: Selection) -> Definition:
    """The events that are asked for, of those in the snapshot."""
    over = stretches_of(snapshot, asked.period)
    parameters: dict[str, Any] = {"site": asked.site_id}
    where = [
        *asked.conditions(parameters),
        *_times(snapshot, asked.period, over, parameters),
    ]
    select = {"columns": COLUMNS, "of_site": OF_SITE, "conditions": "".join(where)}
    sources = list(_sources(snapshot, parameters)) or ["live"]
    texts = [EVENTS.format(name="events", sources=_union(sources, select))]
    if "fresh" in sources:
        texts.insert(0, waiting_sql(snapshot, OF_SITE, parameters))
    tables = {"live": snapshot.spool_rows, "read": snapshot.cached_rows}
    if "read" not in sources:
        del tables["read"]
    if not {"live", "fresh"} & set(sources):
        del tables["live"]
    return Definition("WITH " + ",".join(texts), parameters, tables, over)


def _union(sources: Iterable[str], select: dict[str, str]) -> str:
    return " UNION ALL ".join(SOURCE.format(source=source, **select) for source in sources)


def _sources(snapshot: Snapshot, parameters: dict[str, Any]) -> Iterator[str]:
    """Where there are rows: what is empty would only cost time."""
    parts, dates, source = snapshot.parts_to_read, snapshot.asked, snapshot.source
    yield from files("parts", parts, dates, source, parameters)
    if len(snapshot.cached_rows):
        yield "read"
    if len(snapshot.spool_rows) or snapshot.spilled:
        yield "fresh"


def stretches_of(snapshot: Snapshot, period: Period) -> list[Stretch]:
    """Of the period's zone, from the first event to the last."""
    held = snapshot.dates
    if held.first is None or held.last is None:
        return []
    return stretches(period.zone, midnight(held.first), midnight(held.last) + DAY_US)


def _times(
    snapshot: Snapshot, period: Period, over: Sequence[Stretch], parameters: dict[str, Any]
) -> Iterator[str]:
    """None where whole UTC dates are asked for: these are all that the sources have."""
    if period.zone == "UTC" or not (period.first or period.last):
        return
    either = []
    for n, (start, end) in enumerate(period.intervals(over)):
        parameters |= {f"start_{n}": to_datetime(start), f"end_{n}": to_datetime(end)}
        either.append(f'("timestamp" >= $start_{n} AND "timestamp" < $end_{n})')
    yield f" AND ({' OR '.join(either)})" if either else " AND false"
