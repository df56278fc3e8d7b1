"""The metrics of POST /query. One row each: what it counts, over which rows, and as SQL.

A metric is a formula over parts, see report.terms.query.parts.

Grouped by an event's dimension a visit is in every group in which it has an event, so that only
counting visits means something (`of_events`); what is said of whole visits is refused there.
A figure that has no meaning, as the bounce rate of no visits, is null. Ratios have two decimals.
"""

from dataclasses import replace

from ingest.sites.goals import Goal
from report.terms.dimensions import KEY_CHARACTERS_MAX
from report.terms.query.bound import Bound
from report.terms.query.dimensions import GOAL, PAGE
from report.terms.query.metric import Metric
from report.terms.query.numbers import OF_PROPS, REVENUE, of_prop, of_revenue
from report.terms.query.parts import (
    EVENTS,
    EXITS,
    EXITS_SEEN,
    VIEWS,
    VISITS,
    VISITS_SEEN,
    WHO,
    Part,
    of_visits,
)
from report.terms.query.wrong import Wrong, unknown

PROPS = "props."


def _count(name: str) -> str:
    return f"coalesce({name}, 0)::BIGINT"


def _ratio(above: str, below: str, times: str = "1.0") -> str:
    return f"round({times} * coalesce({above}, 0) / nullif({below}, 0), 2)"


_ROWS = (
    Metric("visitors", "Distinct user_ids among the events.", WHO, _count("visitors")),
    Metric(
        "visits",
        "Visits that begin on the dates; by an event's dimension, those that have such an event.",
        (VISITS,),
        _count("visit_visits"),
        of_events=(replace(VISITS_SEEN, name="visit_visits"),),
    ),
    Metric("pageviews", "Events of type page_view.", (VIEWS,), _count("pageviews")),
    Metric("events", "Events of every type but engagement.", (EVENTS,), _count("events")),
    Metric(
        "views_per_visit",
        "Page views of whole visits by visits.",
        (of_visits("views"), VISITS),
        _ratio("visit_views", "visit_visits"),
        "number",
    ),
    Metric(
        "bounce_rate",
        "Percent of the visits with a page view that have one, no other event, and less than 10 s"
        " engaged.",
        (of_visits("bounces"), of_visits("visits_with_views")),
        _ratio("visit_bounces", "visit_visits_with_views", "100.0"),
        "points",
    ),
    Metric(
        "visit_duration",
        "Seconds from a visit's first event to its last, engagement among them; the mean.",
        (of_visits("ms"), VISITS),
        _ratio("visit_ms", "visit_visits", "0.001"),
        "number",
    ),
    Metric(
        "time_on_page",
        "Seconds that a visit was engaged with a page, the mean over pages that visits have seen.",
        (Part("engaged_ms", "pages", "sum(engaged_ms)"), Part("pages", "pages", "count(*)")),
        _ratio("engaged_ms", "pages", "0.001"),
        "number",
    ),
    Metric(
        "scroll_depth",
        "Percent of a page that a visit has read at most, the mean over those that tell it.",
        (
            Part("scrolled", "pages", "sum(scroll)"),
            Part("pages_scrolled", "pages", "count(scroll)"),
        ),
        _ratio("scrolled", "pages_scrolled"),
        "points",
    ),
    Metric(
        "percentage",
        "Percent of all visitors of the question, without its dimensions.",
        WHO,
        _ratio("visitors", "everyone_visitors", "100.0"),
        "points",
        share_of="everyone",
    ),
    Metric(
        "conversion_rate",
        "Percent of the visitors that are there without the filters for goals and props.",
        WHO,
        _ratio("visitors", "before_goals_visitors", "100.0"),
        "points",
        share_of="before_goals",
    ),
    Metric(
        "group_conversion_rate",
        "The same of the visitors of each group, which goals and props do not divide.",
        WHO,
        _ratio("visitors", "each_group_visitors", "100.0"),
        "points",
        share_of="each_group",
    ),
    Metric(
        "exits",
        "Visits that have a last page view; by event:page, those whose last it is.",
        (EXITS,),
        _count("exits"),
        of_events=(replace(EXITS_SEEN, name="exits"),),
    ),
    Metric(
        "exit_rate",
        "Percent of a page's views after which the visit had no other one.",
        (EXITS_SEEN, VIEWS),
        _ratio("exits_seen", "pageviews", "100.0"),
        "points",
        needs=PAGE,
    ),
)
METRICS = {row.name: row for row in _ROWS}
NAMES = (*METRICS, *REVENUE, *(f"{each}:{PROPS}KEY" for each in OF_PROPS))


def metric(name: str, number: int, at: str, goals: tuple[Goal, ...], bound: Bound) -> Metric:
    """The one of that name, the `number`th of its question, in which these goals are named.

    Raises Wrong.
    """
    if name in METRICS:
        return METRICS[name]
    function, _, key = name.partition(f":{PROPS}")
    if function in OF_PROPS and key:
        if len(key) > KEY_CHARACTERS_MAX:
            raise Wrong(at, f"a key of props has at most {KEY_CHARACTERS_MAX} characters")
        return of_prop(name, function, key, number, bound)
    if name not in REVENUE:
        raise unknown(at, "metric", name, NAMES)
    worth = [goal for goal in goals if goal.revenue]
    if not worth:
        raise Wrong(at, f"{name} needs a goal with revenue, in {GOAL}; or take sum:props.KEY")
    return of_revenue(name, worth, number, bound)
