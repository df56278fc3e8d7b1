"""The body of POST /retention: who came back.

    cohort    those whose first event on the dates was in the same day, week or month. Who was
              there before the dates is not known for it: first is the first time on the dates
    returned  those of a cohort who had any event in the first, second, … period after that

Periods are days, weeks (ISO 8601) and months of tz. Events without a user are nobody's, and robots
have no part in it unless bots says so.
"""

from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from report.terms.buckets import buckets, count_at_most
from report.terms.period import Period
from report.terms.query.asking import Asking
from report.terms.query.bound import Bound
from report.terms.query.selected import Limits, Named, Selected, begun, bots_unless_given
from report.terms.query.wrong import Wrong

Interval = Literal["day", "week", "month"]


class RetentionBody(Asking, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question about who came back."""

    interval: Interval = "week"
    periods: Annotated[int, Meta(ge=1, le=1_000)] | UnsetType = UNSET  # later ones; unset: all


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionQuery(Selected):
    interval: Interval
    periods: int  # later ones, at most
    periods_max: int

    @property
    def keys(self) -> list[int]:
        """Of every period that has some of the dates, oldest first. Raises Wrong."""
        dates, most = self.range, self.periods_max
        period = Period(dates.first, dates.last, dates.zone)
        is_rough = count_at_most(self.interval, dates.first, dates.last) > 2 * most
        found = [] if is_rough else list(islice(buckets(self.interval, period), most + 1))
        if is_rough or len(found) > most:
            what = f"more than {most} {self.interval}s; take a longer interval or fewer dates"
            raise Wrong("$.date_range", what)
        return [key for key, _ in found]


def read(body: RetentionBody, limits: Limits, now: int, owner: Named) -> RetentionQuery:
    """Raises Wrong."""
    start = begun(body, (), limits, now, owner)
    query = RetentionQuery(
        sites=start.sites,
        zone=start.zone,
        bots=body.bots or bots_unless_given((), start.filters),
        range=start.range,
        filters=start.filters,
        goals=start.named,
        bound=Bound(),
        interval=body.interval,
        periods=body.periods or limits.periods,
        periods_max=limits.periods,
    )
    if not start.range.is_open:
        _ = query.keys
    return query
