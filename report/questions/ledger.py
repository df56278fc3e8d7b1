"""GET /ledger: accepted = lake + spool + duplicates + quarantined + erased."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from compactor.lake.footer import Counts
from report.http.query_string import Nothing
from report.http.responses import Table
from report.questions.question import Question, Scope
from report.snapshot.relation import Relation
from report.terms.metrics import Count

FOREIGN_MAX = 100

Figures = dict[str, Any]

WAITING = """
    SELECT site_id, count(*), epoch_us(min(received_at)) FROM waiting
    GROUP BY site_id ORDER BY site_id
"""


class SiteLedger(Struct, frozen=True):
    site_id: str
    accepted: Count
    lake: Count
    spool: Count
    duplicates: Count
    erased: Count


class Foreign(Struct, frozen=True):
    file: str
    reason: str


class Ledger(Struct, frozen=True, kw_only=True):
    """accepted = lake + spool + duplicates + quarantined + erased; quarantined have no site.

    `left_out`: files among the lake's that cannot be read. What is in them is not counted, and
    segments with rows of their dates stay in the spool.
    """

    accepted: Count
    lake: Count
    spool: Count
    duplicates: Count
    quarantined: Count
    erased: Count
    balanced: bool
    lag_s: Annotated[float, Meta(ge=0)]
    lag_bytes: Count
    sites: list[SiteLedger]
    left_out: list[Foreign]


def ask(relation: Relation, asked: Nothing) -> Struct:
    foreign = sorted(relation.snapshot.foreign.items())[:FOREIGN_MAX]
    left_out = [Foreign(file, reason) for file, reason in foreign]
    return Ledger(**sums(relation, now_us=time.time_ns() // 1_000), left_out=left_out)


def sums(relation: Relation, now_us: int) -> Figures:
    """Of a snapshot of all sites and dates.

    `lake` is counted in the parts themselves; `balanced` says that it is what their footers
    say. A damaged line has no site, and is `spool` until its segment is compacted.
    """
    snapshot = relation.snapshot
    held = relation.sites_in_parts()
    lake, duplicates, erased = (
        Counter(dict(zip(held["site_id"].to_pylist(), held[name].to_pylist(), strict=True)))
        for name in ("events", "duplicates", "erased")
    )
    rows = relation.rows(relation.waiting(), WAITING)
    spool = {site: count for site, count, _ in rows}
    counts = Counts.sum(part.counts for part in snapshot.parts)
    in_spool = sum(spool.values()) + sum(map(snapshot.damaged, snapshot.segments))
    figures = {
        "accepted": counts.lines + in_spool,
        "lake": lake.total(),
        "spool": in_spool,
        "duplicates": counts.duplicates,
        "quarantined": counts.quarantined,
        "erased": erased.total(),
    }
    oldest = min((received for _, _, received in rows), default=now_us)
    return {
        **figures,
        "balanced": figures["accepted"] * 2 == sum(figures.values())
        and figures["duplicates"] == duplicates.total(),
        "lag_s": max(0, now_us - oldest) / 1e6,
        "lag_bytes": sum(each.bytes for each in snapshot.segments if snapshot.is_awaited(each)),
        "sites": list(_by_site(lake=lake, spool=spool, duplicates=duplicates, erased=erased)),
    }


def _by_site(**held: Mapping[str, int]) -> Iterator[SiteLedger]:
    for site in sorted(set().union(*held.values())):
        counts = {where: of_site.get(site, 0) for where, of_site in held.items()}
        yield SiteLedger(site_id=site, accepted=sum(counts.values()), **counts)


QUESTION = Question(
    path="/ledger",
    summary="Where every event is",
    takes=Nothing,
    answers=Ledger,
    table=Table("sites", SiteLedger),
    scope=lambda asked: Scope(),
    ask=ask,
    depends_on_clock=True,
)
