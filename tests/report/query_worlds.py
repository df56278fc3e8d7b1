"""Random sites and random questions about them, for counting by hand (query_oracle)."""

from datetime import UTC, datetime, timedelta

from tests.report.holding import event
from tests.report.query_oracle import COLUMNS, ORIGINS, World

# In these days clocks change
ZONES = {
    "UTC": datetime(2025, 10, 25, 22, tzinfo=UTC),
    "Europe/Berlin": datetime(2025, 10, 25, 22, tzinfo=UTC),
    "America/New_York": datetime(2025, 11, 2, 2, tzinfo=UTC),
    "Asia/Kolkata": datetime(2025, 3, 30, 12, tzinfo=UTC),
}
USERS = ["ann", "bob", "d:cy", "dan", "eve", None]
PATHS = ["/", "/a", "/b", "/blog/ä", None]
PROPS = [None, {"plan": "pro", "amount": 3}, {"plan": "free", "amount": 2.5}, {"amount": "7"}]
PROPS += [{"plan": "pro", "amount": True, "x/~y": ""}, {"plan": "Pro", "amount": -1}]
GOALS = [
    {"name": "Signup", "event": "signup", "revenue": "amount"},
    {"name": "Pro signup", "event": "signup", "props": {"plan": "pro"}, "revenue": "amount"},
    {"name": "Blog", "page": "/blog/**"},
    {"name": "Home", "page": "/"},
    {"name": "Read", "scroll": 50},
    {"name": "Read home", "scroll": 30, "page": "/"},
]
TIMES = [f"time:{name}" for name in ("minute", "hour", "day", "week", "month", "quarter")]
DIMENSIONS = [
    *(name for name in COLUMNS if name != "visit:click_id"),
    *("visit:source", "visit:channel", "visit:entry_page", "visit:exit_page"),
    *("visit:country_name", "event:referrer_host", "event:goal", "event:props:plan"),
    *TIMES,
]
VALUES = {
    "event:name": ["page_view", "signup", "nothing"],
    "event:page": ["/", "/a", "/blog/ä", ""],
    "event:hostname": ["a.example", "b.example"],
    "event:goal": ["Signup", "Blog", "Read"],
    "event:props:plan": ["pro", "free"],
    "event:referrer_host": ["news.example", "t.co"],
    "visit:source": ["Google", "newsletter", "Direct / None"],
    "visit:channel": ["Organic Search", "Direct", "Email"],
    "visit:entry_page": ["/", "/a"],
    "visit:exit_page": ["/b", "/blog/ä"],
    "visit:country": ["DE", "US"],
    "visit:country_name": ["Germany", "Estonia"],
    "visit:device": ["mobile", "desktop"],
    "visit:bot": ["search", ""],
}
OPERATORS = ["is", "is_not", "contains", "contains_not", "matches", "matches_not"]
OPERATORS += ["gt", "gte", "lt", "lte", "set", "not_set"]
OPERATORS += ["and", "or", "not", "has_done", "has_not_done"]
OF_VISITS = ["views_per_visit", "bounce_rate", "visit_duration"]
OF_PAGES = ["time_on_page", "scroll_depth"]
OF_EVENTS = ["visitors", "visits", "pageviews", "events"]
OF_PROPS = [f"{name}:props.amount" for name in ("sum", "avg", "min", "max", "median")]


def site(random, start, name, count=70):
    """Some visits of some people within three days, no two events of a user at one time."""
    moments = set()
    while len(moments) < count:
        user = random.choice(USERS)
        at = start + timedelta(minutes=random.randrange(0, 70 * 60, 4))
        for _ in range(random.choice([1, 1, 2, 4])):
            at += timedelta(seconds=random.choice([3, 40, 500, 1_700]), microseconds=len(moments))
            moments.add((user, at))
    for n, (user, at) in enumerate(sorted(moments, key=lambda one: (one[1], str(one[0])))):
        yield of(random, name, user, at, n)


def of(random, name, user, at, n):
    referrer, source, medium, click = random.choice(list(ORIGINS))
    kind = random.choice(["page_view"] * 4 + ["engagement"] * 2 + ["signup"])
    engaged = {"engaged_ms": random.choice([900, 12_000]), "scroll": random.choice([10, 40, 90])}
    return event(
        at,
        site_id=name,
        event_type=kind,
        path=random.choice(PATHS),
        user_id=user,
        event_id=f"{n}" if random.random() < 0.4 else None,
        referrer=referrer,
        utm_source=source,
        utm_medium=medium,
        click_id=click,
        utm_campaign=random.choice([None, "Sale", "sale"]),
        utm_content=random.choice([None, "x"]),
        utm_term=random.choice([None, "y"]),
        hostname=random.choice([None, "a.example", "b.example"]),
        browser=random.choice([None, "Firefox", "Chrome"]),
        os=random.choice([None, "Linux", "Mac"]),
        device=random.choice([None, "mobile", "desktop"]),
        bot=random.choice([None] * 7 + ["search"]),
        country=random.choice([None, "DE", "EE", "US"]),
        language=random.choice([None, "de", "en"]),
        props=random.choice(PROPS),
        **(engaged if kind == "engagement" and random.random() < 0.8 else {}),
    )


def filters(random, operator):
    """One that has this operator."""
    if operator in ("and", "or"):
        return [operator, [leaf(random, random.choice(OPERATORS[:12])) for _ in range(2)]]
    if operator in ("not", "has_done", "has_not_done"):
        return [operator, leaf(random, random.choice(OPERATORS[:12]))]
    return leaf(random, operator)


def leaf(random, operator):
    if operator in ("gt", "gte", "lt", "lte"):
        return [operator, "event:props:amount", [random.choice([2.5, 3, 7, -1])]]
    name = random.choice([each for each in DIMENSIONS if each not in TIMES])
    if name == "event:goal":
        operator = {"matches": "is", "matches_not": "is_not", "set": "is", "not_set": "is_not"}.get(
            operator, operator
        )
    values = random.sample(VALUES.get(name, ["x", "de", "Firefox", "sale", ""]), 2)
    match operator:
        case "set" | "not_set":
            return [operator, name]
        case "contains" | "contains_not":
            values = [value[1:3] or "a" for value in values]
        case "matches" | "matches_not":
            values = random.sample(["^/b", "[ae]r", "o+", "^$", "e$"], 2)
    case = [{"case_sensitive": False}] if random.random() < 0.3 else []
    return [operator, name, values, *case]


def pairings(random):
    """Dimensions and operators of questions: every one of these meets every one of those."""
    pairs = [(name, operator) for name in DIMENSIONS for operator in OPERATORS]
    random.shuffle(pairs)
    while pairs:
        dimensions, operators = [], []
        for name, operator in list(pairs):
            is_time = name in TIMES and any(each in TIMES for each in dimensions if each != name)
            room = name in dimensions or (len(dimensions) < 3 and not is_time)
            if room and (operator in operators or len(operators) < 6):
                dimensions += [] if name in dimensions else [name]
                operators += [] if operator in operators else [operator]
                pairs.remove((name, operator))
        yield dimensions, operators


def question(random, site_id, zone, start, dimensions, operators):
    given = [filters(random, operator) for operator in operators]
    half = len(given) // 2
    if half:  # so that something is left
        given = [["or", given[: half + 1]], *given[half + 1 :]]
    first, last = start + timedelta(days=1), start + timedelta(days=2)
    dates = [f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"]
    if random.random() < 0.3:
        dates = [(start + timedelta(hours=h)).isoformat() for h in (5, 49)]
    body = {
        "site_id": site_id,
        "date_range": dates,
        "tz": zone,
        "dimensions": dimensions,
        "filters": given,
        "goals": GOALS,
        "metrics": [],
    }
    if random.random() < 0.2:
        body["bots"] = random.choice(["include", "only"])
    body["metrics"] = metrics(body)
    return body


def metrics(body):
    """Those that mean something by these dimensions."""
    dimensions = body["dimensions"]
    of_event = [name for name in dimensions if name.startswith("event:")]
    is_timed = any(name in TIMES for name in dimensions)
    found = [*OF_EVENTS, *OF_PROPS]
    if dimensions:
        found.append("percentage")
    if not of_event:
        found += OF_VISITS
    if not set(of_event) - {"event:page", "event:hostname"}:
        found += OF_PAGES
    if not of_event or (of_event == ["event:page"] and not is_timed):
        found.append("exits")
    if of_event == ["event:page"] and not is_timed:
        found.append("exit_rate")
    world = World([], body)
    if world.named:
        found += ["conversion_rate", "group_conversion_rate"]
    if any("revenue" in world.goals[name] for name in world.named):
        found += ["total_revenue", "average_revenue"]
    return found
