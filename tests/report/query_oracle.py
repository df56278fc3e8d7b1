"""POST /query by hand: slow, obvious Python over a list of events. No SQL, and no code of report's.

A question is the body as it is sent, with a date_range of two dates or instants.
"""

import fnmatch
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from tests.report.oracle import host

NOT_SET = "(not set)"
# referrer, utm_source, utm_medium and click_id → source and channel, as the lists have them
ORIGINS = {
    (None, None, None, None): (None, "Direct"),
    ("https://www.google.com/", None, None, None): ("Google", "Organic Search"),
    ("https://t.co/x", None, None, None): ("X (Twitter)", "Organic Social"),
    ("https://News.example/x", None, None, None): ("news.example", "Referral"),
    (None, "newsletter", "email", None): ("newsletter", "Email"),
    ("https://www.google.com/", None, None, "gclid"): ("Google", "Paid Search"),
}
COUNTRIES = {"DE": "Germany", "EE": "Estonia", "US": "United States of America"}
COLUMNS = {
    "event:name": "event_type",
    "event:page": "path",
    "event:hostname": "hostname",
    "visit:referrer": "referrer",
    **{f"visit:utm_{name}": f"utm_{name}" for name in ("source", "medium", "campaign")},
    **{f"visit:utm_{name}": f"utm_{name}" for name in ("content", "term")},
    **{f"visit:{name}": name for name in ("browser", "os", "device", "bot", "country")},
    "visit:language": "language",
    "visit:click_id": "click_id",
}
OF_EACH_EVENT = [f"visit:{name}" for name in ("browser", "os", "device", "bot", "country")]
OF_EACH_EVENT += ["visit:country_name", "visit:language"]


@dataclass(eq=False)
class Visit:
    rows: list = field(default_factory=list)

    @property
    def views(self):
        return [row for row in self.rows if row.event.event_type == "page_view"]

    @property
    def others(self):
        types = ("page_view", "engagement")
        return [row for row in self.rows if row.event.event_type not in types]

    @property
    def carrier(self):
        return (self.views or self.others)[0]

    @property
    def seconds(self):
        return (self.rows[-1].event.timestamp - self.rows[0].event.timestamp).total_seconds()

    @property
    def is_bounce(self):
        engaged = sum(row.event.engaged_ms or 0 for row in self.rows)
        return len(self.views) == 1 and not self.others and engaged < 10_000


@dataclass(eq=False)
class Row:
    event: object
    visit: Visit | None = None
    goal: str | None = None


def rows_of(events):
    """Each with its visit. No two events of a user have one timestamp."""
    rows = [Row(event) for event in events]
    by_user = defaultdict(list)
    for row in rows:
        if row.event.user_id is not None and row.event.bot is None:
            day = row.event.timestamp.astimezone(UTC).date()
            by_user[row.event.user_id, day].append(row)
    for mine in by_user.values():
        mine.sort(key=lambda row: row.event.timestamp)
        visits = []
        for row in mine:
            if not visits or gap(visits[-1].rows[-1], row) > timedelta(minutes=30):
                visits.append(Visit())
            visits[-1].rows.append(row)
        for visit in visits:
            if visit.views or visit.others:
                for row in visit.rows:
                    row.visit = visit
    return rows


def gap(before, after):
    return after.event.timestamp - before.event.timestamp


class World:
    """The events of one site, and one question about them."""

    def __init__(self, events, body):
        self.body = body
        self.zone = ZoneInfo(body.get("tz", "UTC"))
        self.goals = {goal["name"]: goal for goal in body.get("goals", [])}
        self.dimensions = body.get("dimensions") or []
        self.filters = body.get("filters") or []
        names = json.dumps([self.dimensions, self.filters])
        bots = body.get("bots") or ("include" if "visit:bot" in names else "exclude")
        kept = {"include": (True, False), "exclude": (False,), "only": (True,)}[bots]
        self.rows = rows_of([event for event in events if (event.bot is not None) in kept])
        self.visits = list({id(row.visit): row.visit for row in self.rows if row.visit}.values())
        self.in_filters = [name for each in self.filters for name in self.goals_in(each)]
        self.named = list(self.goals) if "event:goal" in self.dimensions else self.in_filters

    # What a row is

    def is_event(self, row):
        if row.event.event_type != "engagement":
            return True
        return any(self.fulfils(row, name) for name in self.named if "scroll" in self.goals[name])

    def fulfils(self, row, name):
        goal, event = self.goals[name], row.event
        if "scroll" in goal:
            if (event.scroll or 0) < goal["scroll"]:
                return False
        elif "event" in goal:
            if event.event_type != goal["event"]:
                return False
        elif event.event_type != "page_view":
            return False
        if "page" in goal and not fnmatch.fnmatchcase(event.path or "\0", goal["page"]):
            return False
        return all((event.props or {}).get(key) == v for key, v in goal.get("props", {}).items())

    def is_dated(self, row):
        first, last = self.body["date_range"]
        if len(first) == 10:
            day = row.event.timestamp.astimezone(self.zone).date()
            return date.fromisoformat(first) <= day <= date.fromisoformat(last)
        end = datetime.fromisoformat(last) + timedelta(seconds=1)
        return datetime.fromisoformat(first) <= row.event.timestamp < end

    def own(self, row, name):
        event = row.event
        if name.startswith("time:"):
            return bucket(event.timestamp.astimezone(self.zone), name)
        if name.startswith("event:props:"):
            found = (event.props or {}).get(name.removeprefix("event:props:"))
            return found if found is None or isinstance(found, str) else json.dumps(found)
        if name in ("visit:source", "visit:channel"):
            origin = event.referrer, event.utm_source, event.utm_medium, event.click_id
            return ORIGINS[origin][name == "visit:channel"]
        if name == "visit:country_name":
            return COUNTRIES.get(event.country, event.country)
        if name == "event:referrer_host":
            return host(event.referrer)
        if name == "event:goal":
            return row.goal
        return getattr(event, COLUMNS[name]) or None

    def value(self, row, name, of_visit=False):
        """`of_visit`: a visit is asked about."""
        if name in ("visit:entry_page", "visit:exit_page"):
            views = row.visit.views if row.visit else []
            return views[0 if name == "visit:entry_page" else -1].event.path if views else None
        if name.startswith("visit:") and row.visit and (of_visit or name not in OF_EACH_EVENT):
            return self.own(row.visit.carrier, name)
        return self.own(row, name)

    # Filters

    def passes(self, row, filters, of_visit=False):
        return all(self.holds(row, each, of_visit) for each in filters)

    def holds(self, row, given, of_visit):
        operator, *rest = given
        match operator:
            case "and":
                return all(self.holds(row, each, of_visit) for each in rest[0])
            case "or":
                return any(self.holds(row, each, of_visit) for each in rest[0])
            case "not":
                return not self.holds(row, rest[0], of_visit)
            case "has_done" | "has_not_done":
                among = row.visit.rows if row.visit else []
                done = any(self.is_event(r) and self.holds(r, rest[0], False) for r in among)
                return done == (operator == "has_done")
        name, values, *more = [*rest, []][:3]
        exact = not more or (more[0] or {}).get("case_sensitive", True)
        if name == "event:goal":
            is_one = any(self.fulfils(row, name) for name in self.goals_in(given))
            return is_one != operator.endswith("_not")
        return compare(operator, self.value(row, name, of_visit), values, exact, name)

    def goals_in(self, given):
        """The names of those that a filter names."""
        operator, *rest = given
        if operator in ("and", "or"):
            return [name for each in rest[0] for name in self.goals_in(each)]
        if operator in ("not", "has_done", "has_not_done"):
            return self.goals_in(rest[0])
        name, values, *more = [*rest, []][:3]
        if name != "event:goal":
            return []
        exact = not more or (more[0] or {}).get("case_sensitive", True)
        fold = str if exact else str.lower
        if operator.startswith("is"):
            return [name for name in self.goals if fold(name) in map(fold, values)]
        return [name for name in self.goals if any(fold(v) in fold(name) for v in values)]

    # Groups

    def counted(self, filters=None, dimensions=None):
        """The events that pass, by group."""
        filters = self.filters if filters is None else filters
        dimensions = self.dimensions if dimensions is None else dimensions
        groups = defaultdict(list)
        for row in self.rows:
            if not (self.is_event(row) and self.is_dated(row) and self.passes(row, filters)):
                continue
            goals = [None]
            if "event:goal" in dimensions:
                goals = [name for name in self.goals if self.fulfils(row, name)]
            for goal in goals:
                each = Row(row.event, row.visit, goal)
                groups[tuple(self.value(each, name) for name in dimensions)].append(each)
        return groups

    def begun(self):
        """The visits that pass, by group."""
        groups = defaultdict(list)
        for visit in self.visits:
            if self.is_dated(visit.carrier) and any(
                self.is_event(row) and self.passes(row, self.filters, of_visit=True)
                for row in visit.rows
            ):
                key = (self.value(visit.carrier, name, True) for name in self.dimensions)
                groups[tuple(key)].append(visit)
        return groups

    def answer(self):
        """The metrics of each group."""
        by_event = any(name.startswith("event:") for name in self.dimensions)
        counted = self.counted()
        begun = {} if by_event else self.begun()
        groups = {(): None} if not self.dimensions else counted.keys() | begun.keys()
        return {
            group: [
                self.metric(name, group, counted.get(group, []), begun.get(group, []), by_event)
                for name in self.body["metrics"]
            ]
            for group in groups
        }

    def metric(self, name, group, rows, visits, by_event):
        users = visitors(rows)
        views = [row for row in rows if row.event.event_type == "page_view"]
        match name:
            case "visitors":
                return users
            case "pageviews":
                return len(views)
            case "events":
                return len(rows)
            case "visits" if by_event:
                return len({row.visit for row in rows} - {None})
            case "visits":
                return len(visits)
            case "views_per_visit":
                return ratio(sum(len(visit.views) for visit in visits), len(visits))
            case "bounce_rate":
                bounces = sum(visit.is_bounce for visit in visits)
                return ratio(100 * bounces, sum(bool(visit.views) for visit in visits))
            case "visit_duration":
                return ratio(sum(visit.seconds for visit in visits), len(visits))
            case "exits" if by_event:
                return len(exited(views))
            case "exits":
                ends = (visit.views[-1].event.path for visit in visits if visit.views)
                return sum(path is not None for path in ends)
            case "exit_rate":
                return ratio(100 * len(exited(views)), len(views))
            case "time_on_page" | "scroll_depth":
                return reading(name, views)
            case "percentage":
                return ratio(100 * users, self.visitors_of(self.filters, [], self.in_filters, ()))
            case "conversion_rate" | "group_conversion_rate":
                return ratio(100 * users, self.all_visitors(name, group))
            case "total_revenue" | "average_revenue":
                worth = [w for w in map(self.worth, rows) if w is not None]
                if not worth:
                    return None
                return sum(worth) if name == "total_revenue" else sum(worth) / len(worth)
        function, _, key = name.partition(":props.")
        numbers = [n for n in (number(row, key) for row in rows) if n is not None]
        average = lambda values: sum(values) / len(values)  # noqa: E731
        functions = {"sum": sum, "avg": average, "min": min, "max": max, "median": median}
        return functions[function](numbers) if numbers else None

    def all_visitors(self, name, group):
        """Those that are there without goals and props."""
        filters = [each for each in self.filters if "event:goal" not in json.dumps(each)]
        filters = [each for each in filters if "event:props:" not in json.dumps(each)]
        kept = [
            n
            for n, each in enumerate(self.dimensions)
            if name == "group_conversion_rate"
            and each != "event:goal"
            and not each.startswith("event:props:")
        ]
        dimensions = [self.dimensions[n] for n in kept]
        return self.visitors_of(filters, dimensions, [], tuple(group[n] for n in kept))

    def visitors_of(self, filters, dimensions, named, group):
        """Of the question with these filters and dimensions, in which these goals are named."""
        before, self.named = self.named, named
        groups = self.counted(filters, dimensions)
        self.named = before
        return visitors(groups.get(group, []))

    def worth(self, row):
        for name in [row.goal] if row.goal else self.named:
            if "revenue" in self.goals[name] and self.fulfils(row, name):
                return number(row, self.goals[name]["revenue"])
        return None


def compare(operator, value, values, exact, name):
    if operator in ("set", "not_set"):
        return (value is not None) == (operator == "set")
    if operator in ("gt", "gte", "lt", "lte"):
        try:
            number = float(value)
        except (TypeError, ValueError):
            return False
        return any(
            {"gt": number > v, "gte": number >= v, "lt": number < v, "lte": number <= v}[operator]
            for v in values
        )
    absent = ("", NOT_SET, "Direct / None") if name == "visit:source" else ("", NOT_SET)
    fold = str if exact else str.lower
    found = False
    for each in values:
        if operator.startswith("is"):
            is_one = value is not None and fold(each) == fold(value)
            found |= value is None if each in absent else is_one
        elif operator.startswith("contains"):
            found |= value is not None and fold(each) in fold(value)
        else:
            flags = 0 if exact else re.IGNORECASE
            found |= value is not None and bool(re.search(each, value, flags))
    return found != operator.endswith("_not")


def visitors(rows):
    return len({row.event.user_id for row in rows} - {None})


def exited(views):
    """The visits that ended on the page of one of these views."""
    return {
        row.visit
        for row in views
        if row.visit and row.event.path is not None
        if row.visit.views[-1].event.path == row.event.path
    }


def reading(name, views):
    pairs = {(row.visit, row.event.path) for row in views if row.visit and row.event.path}
    told = [[row.event for row in v.rows if row.event.path == path] for v, path in pairs]
    if name == "time_on_page":
        return ratio(sum(e.engaged_ms or 0 for each in told for e in each) / 1000, len(pairs))
    depths = [[e.scroll for e in each if e.scroll is not None] for each in told]
    deepest = [max(each) for each in depths if each]
    return ratio(sum(deepest), len(deepest))


def number(row, key):
    value = (row.event.props or {}).get(key)
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except ValueError:
        return None


def ratio(above, below):
    return above / below if below else None


def bucket(local, name):
    """The label of the bucket that has this local time. Clocks change on the hour here."""
    match name:
        case "time:minute":
            return local.replace(second=0, microsecond=0).isoformat()
        case "time:hour":
            return local.replace(minute=0, second=0, microsecond=0).isoformat()
        case "time:week":
            return (local.date() - timedelta(days=local.weekday())).isoformat()
        case "time:month":
            return local.date().replace(day=1).isoformat()
        case "time:quarter":
            return date(local.year, (local.month - 1) // 3 * 3 + 1, 1).isoformat()
    return local.date().isoformat()
