"""The metrics: what can be counted of events. One row each; SQL, answers and documents follow.

A metric is asked in one of two ways. `of_events` is SQL over events. Where events are grouped by
user first (DuckDB plans that in half the time of count(DISTINCT user_id)), `of_user` is what is
kept of the events of one user, by the metric's name, and `of_users` is SQL over what was kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta, Struct, defstruct

Count = Annotated[int, Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    words: str  # for people
    of_events: str
    of_users: str
    of_user: str = ""  # empty: that there is the user is enough
    total: str = ""  # its name in /stats, if it has another one there
    kind: Any = Count
    zero: float | None = 0  # of no events, as the SQL says it
    is_default: bool = True  # in every answer that was not asked for metrics by name

    @property
    def total_name(self) -> str:
        return self.total or self.name

    @property
    def type(self) -> Any:
        return Annotated[self.kind, Meta(description=self.words)]


_ROWS = (
    Metric(
        name="views",
        words="Events of the selection.",
        of_events="count(*)",
        of_user="count(*)",
        of_users="sum(views)::BIGINT",
        total="total_views",
    ),
    Metric(
        name="users",
        words="Distinct user_ids among them.",
        of_events="count(DISTINCT user_id)",
        of_users="count(user_id)",
        total="unique_users",
    ),
)
METRICS = {metric.name: metric for metric in _ROWS}
DEFAULT = tuple(metric for metric in METRICS.values() if metric.is_default)
VIEWS = METRICS["views"]  # what is listed by how much there is of it, is listed by these
ZEROS = [metric.zero for metric in DEFAULT]


def of_events(metrics: Iterable[Metric] = DEFAULT) -> str:
    """The SQL for these metrics, in their order, without names."""
    return ", ".join(metric.of_events for metric in metrics)


def named(metrics: Iterable[Metric] = DEFAULT) -> str:
    return ", ".join(f"{metric.of_events} AS {metric.name}" for metric in metrics)


def of_user(metrics: Iterable[Metric] = DEFAULT) -> str:
    return ", ".join(f"{metric.of_user} AS {metric.name}" for metric in metrics if metric.of_user)


def of_users(metrics: Iterable[Metric] = DEFAULT) -> str:
    return ", ".join(f"{metric.of_users} AS {metric.name}" for metric in metrics)


def names(metrics: Iterable[Metric] = DEFAULT) -> str:
    return ", ".join(metric.name for metric in metrics)


def fields(metrics: Iterable[Metric] = DEFAULT) -> list[tuple[str, Any]]:
    """Those of an answer that has them."""
    return [(metric.name, metric.type) for metric in metrics]


def row(name: str, **labels: Any) -> type[Struct]:
    """A row of a table: these fields, and then the metrics."""
    return defstruct(name, [*labels.items(), *fields()], module=__name__, frozen=True)


def table_of(row: Any) -> Any:
    """The type of a list of such rows."""
    return list[row]
