"""GET /stats/breakdown: the metrics of a selection by the values of a dimension."""

from typing import Annotated

from msgspec import Meta, Struct

from report.http.responses import Table
from report.questions.question import Question, of_selection
from report.snapshot.relation import Relation
from report.terms import metrics
from report.terms.dimensions import PATTERN, dimension
from report.terms.metrics import Count
from report.terms.robots import BOT, Bots
from report.terms.selection import TYPE, Limit, Offset, Selection, covered, covering

# Grouped twice, see report.terms.metrics
SQL = f"""
    , counted AS NOT MATERIALIZED (
        SELECT {{value}} AS value, user_id, {metrics.of_user()} FROM events GROUP BY value, user_id
    ), grouped AS MATERIALIZED (
        SELECT value, {metrics.of_users()}
        FROM counted GROUP BY value
    ), page AS (
        FROM grouped ORDER BY views DESC, value NULLS LAST LIMIT $limit OFFSET $offset
    )
    SELECT (SELECT count(*) FROM grouped), list(page ORDER BY views DESC, value NULLS LAST)
    FROM page
"""


class Takes(Selection, frozen=True, kw_only=True):
    by: Annotated[
        str,
        Meta(
            max_length=70,
            pattern=PATTERN,
            description="What to count by; props.KEY is a value of props. "
            "By event_type, every type counts unless one is given.",
        ),
    ]
    limit: Limit = 10
    offset: Offset = 0

    def type_unless_given(self) -> str:
        return "" if self.by == TYPE else super().type_unless_given()

    def bots_unless_given(self) -> Bots:
        return "include" if self.by == BOT else super().bots_unless_given()


Value = metrics.row("Value", value=str | None)
Breakdown = covering(
    "Breakdown",
    "`total`: how many values there are, for paging.",
    by=str,
    limit=int,
    offset=int,
    total=Count,
    rows=metrics.table_of(Value),
)


def ask(relation: Relation, asked: Takes) -> Struct:
    """Most views first, ties by value; null: without one."""
    by = dimension(asked.by)
    page = {"limit": asked.limit, "offset": asked.offset}
    [(total, rows)] = relation.ask(asked, SQL.format(value=by.sql), **page, **by.parameters)
    values = [Value(**row) for row in rows or []]
    return Breakdown(**covered(asked), by=asked.by, **page, total=total, rows=values)


QUESTION = Question(
    path="/stats/breakdown",
    summary="Views and users by the value of a field",
    takes=Takes,
    answers=Breakdown,
    table=Table("rows", Value),
    scope=of_selection,
    ask=ask,
)
