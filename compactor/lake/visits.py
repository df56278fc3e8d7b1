"""Visits: who came, and what they did until they left.

    visit   := events of one site_id and one user_id on one UTC date (of `timestamp`), neighbours
               at most 30 minutes apart. Robots (bot) and events without user_id are in none.
    engagement
            := an event of type `engagement`. It prolongs a visit, begins one early and joins two,
               but is no event of its own: where there is nothing else, there is no visit.

A pure function of a date's rows: whole dates in, and nothing else matters. Each row has

    visit             1, 2, … within site, user and date, by time; null: belongs to no visit

and one row of each visit, its first page view or, without any, its first event that is no
engagement, has the sums of all of it; on other rows they are null.

    visit_views       page views
    visit_events      other events, engagement not among them
    visit_ms          from the first row of the visit to the last, engagement among them
    visit_engaged_ms  the sum of engaged_ms
    visit_exit        the path of the last page view; null without any, or when that has none

**First and last at equal timestamps.** By content alone, so that it does not matter whether the
rows come from the spool, from recent parts or from settled ones, or in which order: received_at,
then event_id, then the event's other columns as they are declared; null comes last. Rows that are
alike in all of these are the same to every question.

The SQL over these columns is in visit_metrics.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compactor.lake.columns import VISIT_SCHEMA, VISIT_SUMMARY
from compactor.lake.visit_keys import (
    ENGAGEMENT,
    OTHER,
    VIEW,
    Array,
    Members,
    Rows,
    changes,
    members,
)
from ingest.event import COLUMNS

GAP_MS_MAX = 30 * 60 * 1_000
BUCKET_ROWS = 1 << 20  # are looked at together, in 130 bytes of memory each

_FIRST = ("received_at", "event_id")
ORDER = (*_FIRST, *(each.name for each in COLUMNS if each.name not in (*_FIRST, "timestamp")))


@dataclass(frozen=True, slots=True)
class Visits:
    """What was found: four bytes a row, and the summaries."""

    visit: Array  # of each row; 0: none
    carriers: Array  # the positions of rows that have a summary, ascending
    summaries: pa.Table  # one row for each of these

    def columns(self, positions: Array) -> pa.Table:
        """VISIT_SCHEMA for the rows at these positions, in any order."""
        visit = self.visit[positions]
        index = np.searchsorted(self.carriers, positions)
        has_none = np.append(self.carriers, -1)[index] != positions
        summaries = self.summaries.take(pa.array(index, mask=has_none))
        return pa.table([pa.array(visit, mask=visit == 0), *summaries.columns], VISIT_SCHEMA)


def add_visits(table: pa.Table) -> pa.Table:
    """The same rows in their order, with the columns of VISIT_SCHEMA in place of what they had.

    The rows: of whole dates, with the event's columns; one that is not there is null.
    """
    table = table.drop_columns([n for n in VISIT_SCHEMA.names if n in table.column_names])
    present = set(table.column_names)
    rows = Rows(
        table.num_rows,
        lambda names: [table.select([name for name in names if name in present])],
    )
    found = find_visits(rows).columns(np.arange(table.num_rows))
    for name in found.column_names:
        table = table.append_column(found.field(name), found[name])
    return table


def find_visits(rows: Rows, bucket_rows: int = BUCKET_ROWS) -> Visits:
    """The visits of whole dates. Memory is bounded by a bucket of users and the result.

    The rows' keys are read once a bucket, the paths once, other columns only for equal timestamps.
    """
    visit = np.zeros(rows.count, np.int32)
    found = [_find(rows, some, visit) for some in members(rows, bucket_rows) if len(some)]
    if not found:
        return Visits(visit, np.empty(0, np.int64), VISIT_SUMMARY.empty_table())
    carriers, exits, *sums = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.argsort(carriers)
    columns = [*(each[order] for each in sums), _paths(rows, exits[order])]
    return Visits(visit, carriers[order], pa.table(columns, schema=VISIT_SUMMARY))


def _find(rows: Rows, some: Members, visit: Array) -> Sequence[Array]:
    """Numbers the rows in `visit`; of each visit: carrier, exit (-1: none), and the sums."""
    pause = np.diff(some.time_us, prepend=some.time_us[0]) > GAP_MS_MAX * 1_000
    starts = np.flatnonzero(some.is_first | pause)
    lengths = np.diff(starts, append=len(some))
    views, events = (
        np.add.reduceat(some.kind == kind, starts, dtype=np.int32) for kind in (VIEW, OTHER)
    )
    is_visit = views + events > 0
    visit[some.position] = np.repeat(_numbers(is_visit, some.is_first[starts]), lengths)

    of = np.repeat(np.arange(len(starts), dtype=np.int32), lengths)
    carrier, exit = np.full(len(starts), -1), np.full(len(starts), -1)
    shown = np.flatnonzero(some.kind == VIEW)
    carrier[views > 0] = _ends(rows, some, of, shown, last=False)
    exit[views > 0] = _ends(rows, some, of, shown, last=True)
    unseen = np.flatnonzero((some.kind == OTHER) & (views[of] == 0))
    carrier[is_visit & (views == 0)] = _ends(rows, some, of, unseen, last=False)

    took_ms = (some.time_us[starts + lengths - 1] - some.time_us[starts]) // 1_000
    engaged_ms = np.add.reduceat(some.engaged_ms, starts)
    return [each[is_visit] for each in (carrier, exit, views, events, took_ms, engaged_ms)]


def _numbers(is_visit: Array, is_first: Array) -> Array:
    """1, 2, … for each site, user and date, at whose first stretch `is_first` is true."""
    count = np.cumsum(is_visit)
    before = (count - is_visit)[is_first]
    return np.where(is_visit, count - before[np.cumsum(is_first) - 1], 0)


def _ends(rows: Rows, some: Members, of: Array, among: Array, last: bool) -> Array:
    """The position of the first (or last) row of each visit, among these rows of them."""
    visit, time_us = of[among], some.time_us[among]
    runs = np.flatnonzero(changes(visit) | changes(time_us))  # of equal timestamps
    ends = np.diff(runs, append=len(among))
    is_outer = changes(visit[runs][::-1])[::-1] if last else changes(visit[runs])
    runs, ends = runs[is_outer], runs[is_outer] + ends[is_outer]
    result: Array = some.position[among[runs]]
    is_tied = ends - runs > 1
    if is_tied.any():
        lengths = (ends - runs)[is_tied]
        group = np.repeat(np.arange(len(lengths)), lengths)
        inside = np.arange(len(group)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        tied = some.position[among[runs[is_tied][group] + inside]]
        result[is_tied] = _decide(rows, tied, group, last)
    return result


def _decide(rows: Rows, tied: Array, group: Array, last: bool) -> Array:
    """Of each group of positions the one whose row is the first (or last) by ORDER."""
    order = np.lexsort((tied, group))
    tied, group = tied[order], group[order]
    for name in ORDER:
        starts = np.flatnonzero(changes(group))
        if len(starts) == len(group):
            break
        rank = _rank(rows, name, tied) * (-1 if last else 1)
        is_best = rank == np.minimum.reduceat(rank, starts)[np.cumsum(changes(group)) - 1]
        tied, group = tied[is_best], group[is_best]
    result: Array = tied[changes(group)]
    return result


def _rank(rows: Rows, name: str, positions: Array) -> Array:
    order = np.argsort(positions)
    values = rows.at(name, positions[order])
    ranks = np.zeros(len(order), np.int64)
    if values.type != pa.null():
        ranks[order] = pc.rank(values, tiebreaker="dense").to_numpy()  # null has the last
    return ranks


def _paths(rows: Rows, positions: Array) -> pa.Array:
    """The paths of rows; null at -1."""
    order = np.argsort(positions)
    order = order[positions[order] >= 0]
    place = np.zeros(len(positions), np.int64)
    place[order] = np.arange(len(order))
    paths = rows.at("path", positions[order])
    return paths.cast(pa.string()).take(pa.array(place, mask=positions < 0))


assert {VIEW, ENGAGEMENT, OTHER} == {0, 1, 2}
