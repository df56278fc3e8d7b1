"""Visits counted the slow and obvious way: row by row, as dictionaries."""

from collections import defaultdict
from datetime import timedelta
from itertools import pairwise

from compactor.lake.columns import VISIT_SCHEMA
from compactor.lake.visits import ORDER

COLUMNS = VISIT_SCHEMA.names
NONE = dict.fromkeys(COLUMNS)
GAP = timedelta(minutes=30)


def by_hand(rows):
    """The visit columns of each row, whatever their order."""
    columns = [dict(NONE) for _ in rows]
    days = defaultdict(list)
    for n, row in enumerate(rows):
        if row["user_id"] is not None and row["bot"] is None:
            days[row["site_id"], row["user_id"], row["timestamp"].date()].append(n)
    for day in days.values():
        day.sort(key=lambda n: order(rows[n]))
        stretches = [[day[0]]]
        for before, n in pairwise(day):
            if rows[n]["timestamp"] - rows[before]["timestamp"] > GAP:
                stretches.append([])
            stretches[-1].append(n)
        stretches = [each for each in stretches if any(is_event(rows[n]) for n in each)]
        for number, visit in enumerate(stretches, 1):
            for n in visit:
                columns[n]["visit"] = number
            views = [n for n in visit if rows[n]["event_type"] == "page_view"]
            events = [n for n in visit if is_event(rows[n])]
            columns[(views or events)[0]] |= {
                "visit_views": len(views),
                "visit_events": len(events) - len(views),
                "visit_ms": (rows[visit[-1]]["timestamp"] - rows[visit[0]]["timestamp"])
                // timedelta(milliseconds=1),
                "visit_engaged_ms": sum(rows[n]["engaged_ms"] or 0 for n in visit),
                "visit_exit": rows[views[-1]]["path"] if views else None,
            }
    return columns


def is_event(row):
    return row["event_type"] != "engagement"


def order(row):
    """By time; at equal times by what is said of the event, null last."""
    names = [name for name in ORDER if name in row]
    return row["timestamp"], *((row[name] is None, row[name]) for name in names)
