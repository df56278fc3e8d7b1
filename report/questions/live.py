"""GET /stats/live: the metrics of page views in the last five minutes."""

from datetime import UTC, datetime, timedelta

from msgspec import Struct, defstruct

from report.questions.question import Instant, Question, Scope
from report.snapshot.relation import Relation
from report.terms import metrics
from report.terms.period import Dates
from report.terms.selection import Selection, Site
from report.terms.zone import instant

LAST = timedelta(minutes=5)
SQL = f"""SELECT {metrics.named()} FROM events WHERE "timestamp" > $after AND "timestamp" <= $now"""


class Takes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    site_id: Site


Live = defstruct(
    "Live",
    [
        ("site_id", str),
        ("first", Instant),
        ("last", Instant),
        *metrics.fields(),
    ],
    namespace={"__doc__": "Events after `from`, up to `to`."},
    rename={"first": "from", "last": "to"},
    module=__name__,
    frozen=True,
    kw_only=True,
)


def scope(asked: Takes) -> Scope:
    return Scope(asked.site_id, Dates(first=(datetime.now(UTC) - LAST).date()))


def ask(relation: Relation, asked: Takes) -> Struct:
    now = datetime.now(UTC)
    after = now - LAST
    [counts] = relation.ask(Selection(site_id=asked.site_id), SQL, after=after, now=now)
    counted = dict(zip((name for name, _ in metrics.fields()), counts, strict=True))
    return Live(site_id=asked.site_id, first=instant(after), last=instant(now), **counted)


QUESTION = Question(
    path="/stats/live",
    summary="Views and users of the last five minutes",
    takes=Takes,
    answers=Live,
    scope=scope,
    ask=ask,
    depends_on_clock=True,
)
