"""Which metrics mean something by which dimensions."""

from report.terms.query.dimensions import GOAL, PAGE, Dimension
from report.terms.query.metric import Metric
from report.terms.query.wrong import Wrong


def refuse(metric: Metric, dimensions: tuple[Dimension, ...], has_goal: bool, at: str) -> None:
    """Raises Wrong for what means nothing together."""
    names = [dimension.name for dimension in dimensions]
    of_event = [each.name for each in dimensions if each.level == "event"]
    if metric.needs and metric.needs not in names:
        raise Wrong(at, f"{metric.name} needs {metric.needs} among the dimensions")
    if metric.share_of == "everyone" and not dimensions:
        raise Wrong(at, f"{metric.name} needs dimensions: it is of all their visitors")
    if metric.share_of in ("before_goals", "each_group") and not has_goal:
        raise Wrong(at, f"{metric.name} needs {GOAL}, as a filter or among the dimensions")
    if metric.is_of_visits and metric.of_events is None and of_event:
        raise Wrong(
            at,
            f"{metric.name} is of whole visits and means nothing by {of_event[0]};"
            " take visit:entry_page or another visit: dimension",
        )
    if metric.name.startswith("exit"):
        _refuse_exits(metric, dimensions, of_event, at)
    if any(part.over == "pages" for part in metric.parts):
        others = [name for name in of_event if name not in (PAGE, "event:hostname")]
        if others:
            raise Wrong(at, f"{metric.name} is of pages and means nothing by {others[0]}")


def _refuse_exits(
    metric: Metric, dimensions: tuple[Dimension, ...], of_event: list[str], at: str
) -> None:
    others = [name for name in of_event if name != PAGE]
    if of_event and others:
        raise Wrong(at, f"{metric.name} means nothing by {others[0]}; take event:page")
    times = [each.name for each in dimensions if each.level == "time"]
    if of_event and times:
        raise Wrong(
            at, f"{metric.name} by event:page means nothing by {times[0]}; take visit:exit_page"
        )
