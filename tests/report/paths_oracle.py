"""Funnels, retention and journeys by hand: slow, obvious Python. No SQL, and no code of report's.

A question is the body as it is sent, with a date_range of two dates, and steps and ends that are
names of STEPS.
"""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from statistics import median
from zoneinfo import ZoneInfo

from ingest.event import COLUMNS
from tests.report.query_oracle import rows_of

GOALS = [
    {"name": "A", "page": "/a"},
    {"name": "Docs", "page": "/docs/**"},
    {"name": "Order", "event": "order"},
    {"name": "Read", "scroll": 50},
]
# How a step is asked for, and what it means
STEPS = {
    "A": ("A", lambda event: is_view(event) and event.path == "/a"),
    "Docs": ("Docs", lambda event: is_view(event) and (event.path or "").startswith("/docs/")),
    "Order": ("Order", lambda event: event.event_type == "order"),
    "Read": ("Read", lambda event: (event.scroll or 0) >= 50),
    "page b": (["is", "event:page", ["/b"]], lambda event: event.path == "/b"),
    "German": (["is", "visit:country", ["DE"]], lambda event: event.country == "DE"),
    "any": (["not", ["is", "event:name", ["-"]]], lambda event: True),
    "/a": ("/a", lambda event: is_view(event) and event.path == "/a"),
}
FIRST = ("timestamp", "received_at", "event_id")
ORDER = [*FIRST, *(each.name for each in COLUMNS if each.name not in FIRST)]


def is_view(event):
    return event.event_type == "page_view"


def in_order(events):
    """By time; of equal times by what they say, in the order of the schema, null last."""

    def key(event):
        values = [getattr(event, name) for name in ORDER]
        return [(value is None, 0 if value is None else value) for value in values]

    return sorted(events, key=key)


class Paths:
    """The events of one site, and one question about them."""

    def __init__(self, events, body, named=()):
        """`named`: the steps and ends that are in the question."""
        self.body = body
        self.zone = ZoneInfo(body.get("tz", "UTC"))
        self.first, self.last = (date.fromisoformat(each) for each in body["date_range"])
        self.reads = "Read" in named
        rows = rows_of([each for each in in_order(events) if each.bot is None])
        self.rows = [row for row in rows if self.counts(row.event)]

    def counts(self, event):
        if event.event_type == "engagement" and not (self.reads and STEPS["Read"][1](event)):
            return False
        return self.first <= self.local(event) <= self.last and event.user_id is not None

    def local(self, event):
        return event.timestamp.astimezone(self.zone).date()

    # Funnels

    def funnel(self, names, split=lambda row: None):
        """By what they are told apart by: of each step how many, and the median seconds."""
        tests = [STEPS[name][1] for name in names]
        found = defaultdict(list)
        for rows in self.units():
            attempts = [self.attempt(rows, i, tests) for i in range(len(rows))]
            if any(attempts):
                best = max(range(len(rows)), key=lambda i: (len(attempts[i]), -i))
                found[split(rows[best])].append(attempts[best])
        return {group: self.counted(each, len(names)) for group, each in found.items()}

    def units(self):
        found = defaultdict(list)
        for row in self.rows:
            if self.body["unit"] == "visitor":
                found[row.event.user_id].append(row)
            elif row.visit:
                found[id(row.visit)].append(row)
        return found.values()

    def attempt(self, rows, start, tests):
        """When it reached each step, of the attempt that begins with this row; [] if none does."""
        times = [row.event.timestamp for row in rows]
        window = timedelta(seconds=self.body["window_s"])
        near = [i for i in range(start, len(rows)) if times[i] - times[start] <= window]

        def fulfils(i, n):
            return tests[n](rows[i].event)

        if self.body["order"] == "any":
            done = [next((i for i in near if fulfils(i, n)), None) for n in range(len(tests))]
            begins = start in done
            return sorted(times[i] for i in done if i is not None) if begins else []
        if not fulfils(start, 0):
            return []
        reached = [start]
        while len(reached) < len(tests):
            later = [i for i in near if i > reached[-1]]
            if self.body["order"] == "strict":
                later = later[:1]
            following = next((i for i in later if fulfils(i, len(reached))), None)
            if following is None:
                break
            reached.append(following)
        if self.body["order"] == "sequential":
            assert len(reached) == furthest(near, fulfils, len(tests))
        return [times[i] for i in reached]

    @staticmethod
    def counted(attempts, steps):
        for n in range(steps):
            there = [each for each in attempts if len(each) > n]
            took = [(each[n] - each[n - 1]).total_seconds() for each in there if n]
            yield len(there), median(took) if took else None

    # Retention

    def retention(self):
        """How many of each cohort were there in which period, by their first days."""
        days = defaultdict(set)
        for row in self.rows:
            days[row.event.user_id].add(self.period(self.local(row.event)))
        return Counter((min(mine), day) for mine in days.values() for day in mine)

    def periods(self):
        day, found = self.first, []
        while day <= self.last:
            found.append(self.period(day))
            day += timedelta(days=1)
        return list(dict.fromkeys(found))

    def period(self, day):
        if self.body["interval"] == "week":
            return day - timedelta(days=day.isoweekday() - 1)
        return day.replace(day=1) if self.body["interval"] == "month" else day

    # Journeys

    def journeys(self, name, is_to):
        """How many visits took each way."""
        is_end = STEPS[name][1]
        by_page = self.body["dimensions"] == ["event:page"]
        visits = defaultdict(list)
        for row in self.rows:
            if row.visit:
                visits[id(row.visit)].append(row.event)
        found = Counter()
        for events in visits.values():
            end = next((n for n, each in enumerate(events) if is_end(each)), None)
            if end is None:
                continue
            events = events[: end + 1] if is_to else events[end:]
            if by_page:
                told = [each.path or "(not set)" for each in events if is_view(each)]
            else:
                told = [each.event_type for each in events if each.event_type != "engagement"]
            way = [step for step, _ in groupby(told)]
            way = way[-self.body["steps"] :] if is_to else way[: self.body["steps"]]
            if way:
                found[tuple(way)] += 1
        return found


def furthest(near, fulfils, steps):
    """How far any choice of events leads, the first of them being the first step."""

    def go(after, n):
        if n == steps:
            return n
        return max([n, *(go(i, n + 1) for i in near if i > after and fulfils(i, n))])

    return go(near[0], 1)


def instant(*at):
    return datetime(*at, tzinfo=UTC)
