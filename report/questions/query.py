"""POST /query, /api/v2/query: any metrics of any selection by any dimensions, see docs/query.md."""

from contextlib import ExitStack

from report.engine.pool import Cursor
from report.questions.answer import Answer, table, told
from report.questions.figures import Figures
from report.questions.query_run import Kind, Relations
from report.questions.written import Written
from report.terms.query.body import Body
from report.terms.query.request import Query, read


def ask(cursor: Cursor, body: Body, query: Query, every: Relations) -> Answer:
    """Raises Wrong."""
    with ExitStack() as stack:
        now = Figures("now", cursor, query, query.range, every[0])
        figures = stack.enter_context(now)
        before = None
        if query.compared:
            before = stack.enter_context(Figures("before", cursor, query, query.compared, every[1]))
        return told(body, query, figures, before)


KIND = Kind(read, ask)
QUESTION = Written(
    name="query",
    summary="Any metrics of any selection, by any dimensions",
    body=Body,
    answers=Answer,
    table=table,
    kind=KIND,
)
