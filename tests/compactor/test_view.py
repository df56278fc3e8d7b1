"""data/lake.duckdb: events with their visits, and a row for each visit, settled or not."""

import json
import os
from datetime import timedelta

import duckdb
import pytest

from tests.compactor.folder import Folder
from tests.compactor.test_visits import DAY, world
from tests.compactor.visits_by_hand import by_hand
from tests.processes import DUCKDB, duckdb_cli

DUCKDBS = [DUCKDB, *filter(None, [os.environ.get("DUCKDB_1_4")])]
VISIT = ("site_id", "user_id", "date", "visit", "timestamp", "path")
SUMS = ("visit_views", "visit_events", "visit_ms", "visit_engaged_ms", "visit_exit")


def spool_line(row):
    row = {name: value for name, value in row.items() if value is not None}
    for name in ("timestamp", "received_at"):
        row[name] = f"{row[name]:%Y-%m-%dT%H:%M:%S.%fZ}"
    return json.dumps(row).encode() + b"\n"


def expected(rows):
    found = []
    for row, visit in zip(rows, by_hand(rows), strict=True):
        if visit["visit_views"] is not None:
            row = row | visit | {"date": row["timestamp"].date()}
            found.append(tuple(row[name] for name in (*VISIT, *SUMS)))
    return sorted(found, key=repr)


def visits(folder):
    columns = ", ".join(f'"{name}"' for name in (*VISIT[:-1], "visit_entry", *SUMS))
    with duckdb.connect(folder.path / "lake.duckdb", read_only=True) as database:
        database.execute("SET TimeZone = 'UTC'")
        return sorted(database.sql(f"SELECT {columns} FROM visits").fetchall(), key=repr)


@pytest.mark.parametrize("seed", range(3))
def test_visits_are_those_that_one_counts_by_hand_whatever_has_settled(tmp_path, seed):
    rows = world(seed, users=6, most=12)
    days = [rows[n::3] for n in range(3)]
    for n, day in enumerate(days):
        for row in day:
            row["timestamp"] -= timedelta(days=n)
            row["event_id"] = None
    first, later = [], []
    for day in days:
        first += day[: len(day) // 2]
        later += day[len(day) // 2 :]
    folder = Folder(tmp_path, now=f"{DAY:%Y-%m-%d}T12:00:00")
    folder.segment(*map(spool_line, first))
    passes = folder.passes()
    passes.run_once()
    assert visits(folder) == expected(first), "two dates have settled, today has not"
    folder.segment(*map(spool_line, later))
    passes.compact_all()
    assert visits(folder) == expected(first + later), "late events join, split and prolong visits"
    folder.now = f"{DAY + timedelta(days=3):%Y-%m-%d}T12:00:00"
    passes.turn(everything=True)
    assert not [name for name in folder.parts() if "recent" in name]
    assert visits(folder) == expected(first + later), "all have settled"
    for command in DUCKDBS:
        told = duckdb_cli(
            "SELECT count(*), count(DISTINCT visit_entry) > 0, sum(visit_views) FROM visits",
            database=folder.path / "lake.duckdb",
            command=command,
        )
        views = sum(visit[6] for visit in expected(first + later))
        assert told == f"{len(expected(first + later))},true,{views}"
