"""The SQL for a funnel of one site: of every unit the attempt that counts (terms.query.funnel).

moments   when each step was reached that was, the first one first, in microseconds
d0        what the attempt is told apart by, if by anything
of_days   was its visitor made for one day?
"""

from collections.abc import Iterator

from report.terms.query.funnel import FunnelQuery
from report.terms.query.order import numbered
from report.terms.query.parts import IS_DAILY
from report.terms.query.seen import VISIT, Seen, looks_at_visits
from report.terms.zone import SECOND_US

UNITS = {"visitor": "user_id", "visit": VISIT}


def needs_visits(query: FunnelQuery) -> bool:
    return query.unit == "visit" or looks_at_visits(query.dimensions, query.conditions)


def statement(query: FunnelQuery) -> str:
    """It goes on after the definition of `events`."""
    seen = Seen(query.range, query.goals, query.bound)
    events = _events(query, seen)  # first: it says what has to be known of visits
    attempts = _in_any_order(query) if query.order == "any" else _one_after_another(query)
    texts = [*seen.relations(), f"event AS MATERIALIZED ({events})", *attempts]
    unit = UNITS[query.unit]
    return f"""
    , {", ".join(texts)}
    SELECT best.moments AS moments, best.d0 AS d0, {IS_DAILY} AS of_days FROM (
        SELECT {unit}, arg_max({{'moments': moments, 'd0': d0}}, (len(moments), -start)) AS best
        FROM attempt GROUP BY {unit}
    )"""


def _events(query: FunnelQuery, seen: Seen) -> str:
    """Those that count, each with its number within its unit, and which steps it fulfils."""
    unit = UNITS[query.unit]
    steps = [seen.passes([step], seen.of_event) for step in query.fulfils]
    told = ", ".join(f"({step}) AS is_{n}" for n, step in enumerate(steps))
    names = ", ".join(f"is_{n}" for n, _ in enumerate(steps))
    d0 = seen.of_event(query.dimensions[0]) if query.dimensions else "NULL"
    conditions = [
        seen.is_event,
        seen.is_dated(),
        seen.passes(query.filters, seen.of_event),
        f"({unit.replace(', ', ' IS NOT NULL AND ')} IS NOT NULL)",
    ]
    rows = f"""(
                    SELECT *, epoch_us("timestamp") AS moment, {d0} AS d0, {told}
                    FROM seen WHERE {" AND ".join(conditions)}
                )"""
    if query.order != "strict":
        rows += f" WHERE {names.replace(', ', ' OR ')}"
    return numbered(rows, unit, f"{unit}, moment, d0, {names}")


def _one_after_another(query: FunnelQuery) -> Iterator[str]:
    """`attempt_n` are the attempts that reached step n, `attempt` all of these."""
    unit = UNITS[query.unit]
    last = len(query.fulfils) - 1
    following = {n: _following(query, n) for n in range(1, last + 1)}
    yield f"""linked AS MATERIALIZED (
        SELECT *, {", ".join(f"{sql} AS following_{n}" for n, sql in following.items())},
            NULL AS following_{last + 1}
        FROM event WINDOW later AS (
            PARTITION BY {unit} ORDER BY n ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        )
    )"""
    yield f"""attempt_0 AS MATERIALIZED (
        SELECT {unit}, n AS start, following_1 AS following, moment AS began,
            [moment] AS moments, d0
        FROM linked WHERE is_0
    )"""
    for n in range(1, last + 1):
        yield f"""attempt_{n} AS MATERIALIZED (
        SELECT {unit}, start, following_{n + 1} AS following, began,
            list_append(moments, moment) AS moments, attempt.d0
        FROM attempt_{n - 1} AS attempt JOIN (
            SELECT * EXCLUDE d0, n AS following FROM linked WHERE is_{n}
        ) USING ({unit}, following)
        WHERE moment <= began + {query.window_s * SECOND_US:d}
    )"""
    every = " UNION ALL ".join(f"FROM attempt_{n}" for n in range(last + 1))
    yield f"attempt AS ({every})"


def _following(query: FunnelQuery, step: int) -> str:
    """The number of the event that can be this step, of an attempt that has come to the event."""
    if query.order == "strict":
        return "n + 1"
    return f"min(n) FILTER (is_{step}) OVER later"


def _in_any_order(query: FunnelQuery) -> Iterator[str]:
    """`attempt` are all, each with the first moment of every step that is not too late."""
    numbers = range(len(query.fulfils))
    first = ", ".join(f"min(moment) FILTER (is_{n}) OVER later AS first_{n}" for n in numbers)
    window = f"moment + {query.window_s * SECOND_US:d}"
    in_time = ", ".join(f"CASE WHEN first_{n} <= {window} THEN first_{n} END" for n in numbers)
    yield f"""attempt AS (
        SELECT *, n AS start,
            list_sort(list_filter([{in_time}], lambda each: each IS NOT NULL)) AS moments
        FROM (
            SELECT *, {first} FROM event WINDOW later AS (
                PARTITION BY {UNITS[query.unit]} ORDER BY n
                ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
            )
        )
    )"""
