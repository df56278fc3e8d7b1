"""Where every accepted event is: accepted = lake + spool + duplicates + quarantined + erased."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb

from report.snapshot.listed_part import total
from report.snapshot.relation import waiting
from report.snapshot.site_counts import SiteCounts
from report.snapshot.snapshot import Snapshot

Figures = dict[str, Any]

WAITING = """
    SELECT site_id, count(*), epoch_us(min(received_at)) FROM waiting
    GROUP BY site_id ORDER BY site_id
"""


class Ledger:
    def __init__(self, site_counts: SiteCounts) -> None:
        self._site_counts = site_counts

    def sums(self, cursor: duckdb.DuckDBPyConnection, snapshot: Snapshot, now_us: int) -> Figures:
        """Of a snapshot of all sites and dates.

        `lake` is counted in the parts themselves; `balanced` says that it is what their footers
        say. A damaged line has no site, and is `spool` until its segment is compacted.
        """
        held = self._site_counts.of_parts(cursor, snapshot)
        lake, duplicates, erased = (
            Counter(dict(zip(held["site_id"].to_pylist(), held[name].to_pylist(), strict=True)))
            for name in ("events", "duplicates", "erased")
        )
        with waiting(snapshot).on(cursor) as ask:
            rows = ask(WAITING)
        spool = {site: count for site, count, _ in rows}
        counts = total(part.counts for part in snapshot.parts)
        in_spool = sum(spool.values()) + sum(map(snapshot.damaged, snapshot.waiting))
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
            "lag_bytes": sum(each.bytes for each in snapshot.waiting if snapshot.waits(each)),
            "sites": list(_by_site(lake=lake, spool=spool, duplicates=duplicates, erased=erased)),
        }


def _by_site(**held: Mapping[str, int]) -> Iterator[Figures]:
    for site in sorted(set().union(*held.values())):
        counts = {where: of_site.get(site, 0) for where, of_site in held.items()}
        yield {"site_id": site, "accepted": sum(counts.values()), **counts}
