"""What metrics are worked out of: parts, which can be put together.

Of users, of sites, of what lies in parts of the lake and in the spool: parts are merged, and never
anything else. A part is counted over one of

    events   the events that pass the filters and are of the dates. `engagement` is none, unless it
             fulfils a goal (a scroll) that the question names
    visits   the visits that pass (an event of theirs does) and begin on the dates: the rows are
             their first page views, see compactor.lake.visits
    pages    the pages that visits have seen by these events, each visit and page once, with what
             engagement told of the two, whatever the filters
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from compactor.lake.visit_metrics import SUMS

Over = Literal["events", "visits", "pages"]
Merge = Literal["sum", "fsum", "min", "max", "bool_or", "list"]

IS_VIEW = "event_type = 'page_view'"
READING = "sum(engaged_ms) AS engaged_ms, max(scroll) AS scroll"  # of a visit and a page
VISIT_KEY = '(user_id, "date", visit)'


@dataclass(frozen=True, slots=True)
class Part:
    """What is over events is worked out for each user, and then merged: see of_users."""

    name: str
    over: Over
    sql: str  # empty: that there is the user is enough
    merge: Merge = "sum"
    of_users: str = ""  # over what is kept of each user, if that is not merged

    @property
    def merged(self) -> str:
        if self.merge == "list":
            return f"flatten(list({self.name}) FILTER (WHERE {self.name} IS NOT NULL))"
        return f"{self.merge}({self.name})"


class Figure(Protocol):
    """A metric, as far as it is made of parts."""

    @property
    def parts(self) -> tuple[Part, ...]: ...
    @property
    def of_events(self) -> tuple[Part, ...] | None: ...


def of_visits(name: str) -> Part:
    """See compactor.lake.visit_metrics."""
    return Part(f"visit_{name}", "visits", SUMS[name])


VISITORS = Part("visitors", "events", "", of_users="count(user_id)")
IS_DAILY = "starts_with(user_id, 'd:')"  # made for one day, and leads back to nobody
DAILY = Part("of_days", "events", "", "bool_or", of_users=f"bool_or({IS_DAILY})")
WHO = (VISITORS, DAILY)
WHO_BY_VISITS = {
    VISITORS: Part("visitors", "visits", "count(DISTINCT user_id)"),
    DAILY: Part("of_days", "visits", f"bool_or({IS_DAILY})", "bool_or"),
}
EVENTS = Part("events", "events", "count(*)")
VIEWS = Part("pageviews", "events", f"count(*) FILTER (WHERE {IS_VIEW})")
VISITS = of_visits("visits")
VISITS_SEEN = Part(
    "visits_seen", "events", f"count(DISTINCT {VISIT_KEY}) FILTER (WHERE visit IS NOT NULL)"
)
EXITS = Part("exits", "visits", "count(visit_exit)")
EXITS_SEEN = Part(
    "exits_seen", "events", f"count(DISTINCT {VISIT_KEY}) FILTER (WHERE {IS_VIEW} AND {{is_exit}})"
)


def parts_of(metrics: Iterable[Figure], by_event: bool) -> Iterator[Part]:
    """Each once."""
    seen = set()
    for metric in metrics:
        parts = metric.of_events if by_event and metric.of_events is not None else metric.parts
        for part in parts:
            if part.name not in seen:
                seen.add(part.name)
                yield part
