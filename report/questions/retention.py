"""POST /retention, /api/v2/retention: who came back, see report.terms.query.retention.

Where identities are made for one day nobody can be seen to come back, so there is no answer if the
selection has even one of them. The first that is found ends the search.
"""

from collections import Counter
from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType

from report.engine.pool import Cursor
from report.problem import Code, Problem
from report.questions.about import Understood, Warned, understood, warned
from report.questions.events_of import events_of
from report.questions.query_run import Kind, Relations
from report.questions.written import Written
from report.snapshot.relation import Relation
from report.terms.buckets import first_day, key_of, key_sql
from report.terms.period import ONE_DAY
from report.terms.query.parts import IS_DAILY
from report.terms.query.retention import Interval, RetentionBody, RetentionQuery, read
from report.terms.query.seen import Seen, looks_at_visits
from report.terms.zone import utc_date

REFUSED = (
    "Visitors of {site} have identities that are made for one day, so nobody can be seen to come"
    " back. Retention needs a user_id that the site gives its visitors itself."
)

Cell = tuple[int, int]  # cohort and period, by their keys


class Cohort(Struct, frozen=True, kw_only=True):
    """`cohort`: the first date of its period. `returned`: how many of its `visitors` in the first,
    second, … period after that, as far as the dates go; `rates`: percent, null of nobody."""

    cohort: str
    visitors: int
    returned: list[int]
    rates: list[float | None]


class RetentionAbout(Struct, frozen=True, kw_only=True):
    """`partial`: periods of which only some days are asked for."""

    partial: list[str]
    metric_warnings: dict[str, Warned] | UnsetType = UNSET


class RetentionAsked(Understood, frozen=True, kw_only=True):
    interval: Interval
    periods: int


class RetentionAnswer(Struct, frozen=True, kw_only=True):
    """Every period of the dates, oldest first, also those that nobody was first seen in."""

    results: list[Cohort]
    meta: RetentionAbout
    query: RetentionAsked


def ask(
    cursor: Cursor, body: RetentionBody, query: RetentionQuery, every: Relations
) -> RetentionAnswer:
    """Raises Problem, and Wrong."""
    keys = query.keys
    cells: Counter[Cell] = Counter()
    for site, relation in zip(query.sites, every[0], strict=True):
        cells.update(_cells(query, site, relation))
    found = warned(query, lambda: False)
    return RetentionAnswer(
        results=[_cohort(query, keys[n:], cells) for n, _ in enumerate(keys)],
        meta=RetentionAbout(
            partial=_partial(query), metric_warnings={"visitors": found} if found else UNSET
        ),
        query=RetentionAsked(
            **understood(body, query), interval=query.interval, periods=query.periods
        ),
    )


def _cells(query: RetentionQuery, site: str, relation: Relation) -> dict[Cell, int]:
    """How many visitors each has. Raises Problem."""
    seen = Seen(query.range, query.goals, query.bound)
    passes = seen.passes(query.filters, seen.of_event)
    rows = f"""seen WHERE {seen.is_event} AND {seen.is_dated()} AND {passes}
        AND user_id IS NOT NULL"""
    relations = ", ".join(seen.relations())
    is_daily = f", {relations} SELECT 1 FROM {rows} AND {IS_DAILY} LIMIT 1"
    counted = f""", {relations}, present AS (
        SELECT DISTINCT user_id, {key_sql(query.interval, query.range.stretches)} AS key FROM {rows}
    ), known AS (
        SELECT key, min(key) OVER (PARTITION BY user_id) AS cohort FROM present
    )
    SELECT cohort, key, count(*) FROM known GROUP BY ALL"""
    needs_visits = looks_at_visits((), query.filters)
    with events_of(relation, query, query.range, site, needs_visits).on(relation.cursor) as asked:
        if asked(is_daily, **query.bound.used_in(is_daily)):
            raise Problem(Code.DAILY_IDENTITIES, REFUSED.format(site=site))
        found = asked(counted, **query.bound.used_in(counted))
    return {(cohort, key): count for cohort, key, count in found}


def _cohort(query: RetentionQuery, keys: Sequence[int], cells: Counter[Cell]) -> Cohort:
    """That of the first of these."""
    first, *later = keys
    visitors = cells[first, first]
    returned = [cells[first, key] for key in later[: query.periods]]
    return Cohort(
        cohort=utc_date(first).isoformat(),
        visitors=visitors,
        returned=returned,
        rates=[round(100 * each / visitors, 2) if visitors else None for each in returned],
    )


def _partial(query: RetentionQuery) -> list[str]:
    """The first and the last one, where they are cut."""
    interval, dates = query.interval, query.range
    after = dates.last + ONE_DAY
    ends = {dates.first, dates.last} if dates.instants else set()
    ends |= {dates.first} if first_day(interval, dates.first) != dates.first else set()
    ends |= {dates.last} if first_day(interval, after) != after else set()
    return sorted({utc_date(key_of(interval, each)).isoformat() for each in ends})


def table(answer: RetentionAnswer) -> tuple[list[str], list[list[object]]]:
    """The names of its columns, and its rows: one a cohort and period, itself the period 0."""
    rows: list[list[object]] = []
    for each in answer.results:
        rows.append([each.cohort, 0, each.visitors, 100.0 if each.visitors else None])
        pairs = zip(each.returned, each.rates, strict=True)
        rows += [[each.cohort, n, count, rate] for n, (count, rate) in enumerate(pairs, 1)]
    return ["cohort", "period", "visitors", "rate"], rows


QUESTION = Written(
    name="retention",
    summary="Who came back",
    body=RetentionBody,
    answers=RetentionAnswer,
    table=table,
    kind=Kind(read, ask),
    refuses=(Code.DAILY_IDENTITIES,),
)
