"""What is said of visits, as SQL over the columns that rows have of them (see visits).

A visit's summary stands on one of its rows alone, so a sum over rows is a sum over visits:

    SELECT {METRICS["visits"]}, {METRICS["bounce_rate"]} FROM events WHERE site_id = 'blog'

Columns of that row, the visit's first page view, are its entry page, source, country and device:
a filter on these, and GROUP BY, need nothing more. So do periods: a visit counts where it begins.

Any other condition on rows (who has seen /pricing, who has signed up) would lose the summary, as it
stands on another row. It chooses whole visits, and then they are summed:

    SELECT {METRICS["visits"]} FROM ({visits_with("path = '/pricing'")})

Figures of several periods or sites are put together from SUMS, never from METRICS. A figure that
has no meaning, the bounce rate of no visits, is null.
"""

BOUNCE_MS_MIN = 10_000  # who was engaged for so long has not bounced

_BOUNCES = f"visit_views = 1 AND visit_events = 0 AND visit_engaged_ms < {BOUNCE_MS_MIN}"

SUMS = {
    "visits": "count(visit_views)",
    "visits_with_views": "count(*) FILTER (WHERE visit_views > 0)",
    "bounces": f"count(*) FILTER (WHERE {_BOUNCES})",
    "views": "coalesce(sum(visit_views), 0)",  # of visits: those of robots and of nobody are not
    "ms": "coalesce(sum(visit_ms), 0)",
}

METRICS = {
    "visits": SUMS["visits"],
    "views_per_visit": f"{SUMS['views']} / nullif({SUMS['visits']}, 0)",
    "bounce_rate": f"100.0 * {SUMS['bounces']} / nullif({SUMS['visits_with_views']}, 0)",  # percent
    "visit_duration": f"{SUMS['ms']} / 1000.0 / nullif({SUMS['visits']}, 0)",  # seconds
}

VISIT = ("site_id", "user_id", "date", "visit")  # tells a visit from every other one


def visits_with(condition: str, events: str = "events") -> str:
    """A query: all rows of the visits that have a row of which `condition` is true."""
    visit = ", ".join(VISIT)
    return f"""
        SELECT * FROM {events} SEMI JOIN (
            SELECT DISTINCT {visit} FROM {events} WHERE visit IS NOT NULL AND ({condition})
        ) AS chosen USING ({visit})"""
