"""GET /robots: what robots fetched, by class and name. A tracker never hears of most of them."""

from typing import Annotated

from msgspec import Meta, Struct

from report.http.responses import Table
from report.questions.question import Instant, Question, of_selection
from report.snapshot.relation import Relation
from report.terms.metrics import Count
from report.terms.robots import Bots
from report.terms.selection import Limit, Offset, Selection, covered, covering
from report.terms.zone import instant

SQL = """
    , grouped AS MATERIALIZED (
        SELECT bot, browser AS name, count(*) AS events, count(DISTINCT path) AS pages,
            max("timestamp") AS last
        FROM events GROUP BY bot, name
    ), page AS (
        FROM grouped ORDER BY events DESC, bot, name NULLS LAST LIMIT $limit OFFSET $offset
    )
    SELECT (SELECT count(*) FROM grouped), list(page ORDER BY events DESC, bot, name NULLS LAST)
    FROM page
"""


class Takes(Selection, frozen=True, kw_only=True):
    limit: Limit = 100
    offset: Offset = 0

    def type_unless_given(self) -> str:
        return ""  # every type

    def bots_unless_given(self) -> Bots:
        return "only"


class Robot(Struct, frozen=True, kw_only=True):
    bot: Annotated[str, Meta(description="search, ai, social, seo, monitor, tool and so on.")]
    name: Annotated[str | None, Meta(description="Null: of none that is known.")]
    events: Count
    pages: Annotated[Count, Meta(description="Different paths.")]
    last: Instant


Robots = covering(
    "Robots",
    "`total`: how many robots there are, for paging.",
    limit=int,
    offset=int,
    total=Count,
    rows=list[Robot],
)


def ask(relation: Relation, asked: Takes) -> Struct:
    """Most events first, ties by class and name."""
    page = {"limit": asked.limit, "offset": asked.offset}
    [(total, rows)] = relation.ask(asked, SQL, **page)
    robots = [Robot(**row | {"last": instant(row["last"])}) for row in rows or []]
    return Robots(**covered(asked), **page, total=total, rows=robots)


QUESTION = Question(
    path="/robots",
    summary="Robots by class and name",
    takes=Takes,
    answers=Robots,
    table=Table("rows", Robot),
    scope=of_selection,
    ask=ask,
)
