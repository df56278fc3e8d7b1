"""GET /stats: the metrics of a selection, and its most viewed paths."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct

from report.http.responses import Table
from report.questions.question import Question, of_selection
from report.snapshot.relation import Relation
from report.terms import filters, metrics
from report.terms.metrics import VIEWS, Count
from report.terms.robots import Bots
from report.terms.selection import Day, Limit, Selection

PATHS = 10
TOTALS = f"SELECT {metrics.named()} FROM events"
SQL = f"""
    , top AS (
        SELECT path, {metrics.named([VIEWS])} FROM events WHERE path IS NOT NULL
        GROUP BY path ORDER BY views DESC, path LIMIT $limit
    )
    SELECT {metrics.names()}, (SELECT list(top ORDER BY views DESC, path) FROM top) FROM ({TOTALS})
"""


class Takes(Selection, frozen=True, kw_only=True):
    limit: Annotated[Limit, Meta(extra_json_schema={"default": PATHS})] | UnsetType = UNSET


class TopPath(Struct, frozen=True):
    path: str
    views: Count


REPEATED: list[tuple[str, Any, Any]] = [
    ("first", Day | UnsetType, UNSET),
    ("last", Day | UnsetType, UNSET),
    ("tz", str | UnsetType, UNSET),
    ("bots", Bots | UnsetType, UNSET),
    *((name, str | UnsetType, UNSET) for name in filters.FILTERS),
    ("limit", int | UnsetType, UNSET),
]
Stats = defstruct(
    "Stats",
    [
        ("site_id", str),
        ("date", Day | None),
        *REPEATED,
        *((metric.total_name, metric.type) for metric in metrics.DEFAULT),
        ("top_paths", list[TopPath]),
    ],
    namespace={"__doc__": "Of what was asked, that which was given is repeated."},
    rename={"first": "from", "last": "to"},
    module=__name__,
    frozen=True,
    kw_only=True,
)


def ask(relation: Relation, asked: Takes) -> Struct:
    """The most viewed paths first, ties by path."""
    [(*counts, top)] = relation.ask(asked, SQL, limit=asked.limit or PATHS)
    names = (metric.total_name for metric in metrics.DEFAULT)
    return Stats(
        site_id=asked.site_id,
        date=asked.date or None,
        **{name: getattr(asked, name) for name, *_ in REPEATED},
        **dict(zip(names, counts, strict=True)),
        top_paths=[TopPath(**row) for row in top or []],
    )


QUESTION = Question(
    path="/stats",
    summary="Views, users and top paths",
    takes=Takes,
    answers=Stats,
    table=Table("top_paths", TopPath),
    scope=of_selection,
    ask=ask,
)
