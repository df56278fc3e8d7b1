"""Goals, funnels and segments of a site, as sites.toml has them: plain values, and no SQL.

    [[blog.goals]]
    name = "Signup"
    event = "signup"                  exactly one of event, page and scroll
    props = { plan = "pro" }          only events whose props have these values
    revenue = "amount"                the prop that holds what it is worth

    [[blog.goals]]
    name = "Read to the end"
    scroll = 90                       percent, of a page that was read so far down
    page = "/blog/**"                 on these pages alone; by itself it is the goal: a view of one

    [[blog.funnels]]
    name = "Buy"
    steps = ["Pricing", "Signup"]     names of goals, in the order in which they come

    [[blog.segments]]
    name = "Phones in Germany"
    filters = [["is", "visit:device", ["mobile"]], ["is", "visit:country", ["DE"]]]

In a page "*" is any text without "/", "**" any text; all else is itself. What a segment's filters
mean, only the question says that they are used in; here they are lists of the right shape.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

STEPS_MIN, STEPS_MAX = 2, 10
GOALS_MAX = 200
FUNNELS_MAX = 50
SEGMENTS_MAX = 50
WINDOW_S_MAX = 366 * 86_400

Name = Annotated[str, Meta(min_length=1, max_length=120)]
Pattern = Annotated[str, Meta(min_length=1, max_length=2_048)]
PropName = Annotated[str, Meta(min_length=1, max_length=64)]
PropValue = str | bool | int | float


class Goal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a visitor does. Which kind it is, `kind` says."""

    name: Name
    event: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET  # its event_type
    page: Pattern | UnsetType = UNSET  # of a page view; beside scroll: where that is counted
    scroll: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET  # percent, at least
    props: Annotated[dict[PropName, PropValue], Meta(max_length=32)] = {}  # all of them
    revenue: PropName | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.event is not UNSET and not self.page is self.scroll is UNSET:
            raise ValueError("a goal is an event, a page, or a scroll: exactly one")
        if self.event is self.page is self.scroll is UNSET:
            raise ValueError("a goal needs one of event, page and scroll")
        if self.scroll is not UNSET and (self.props or self.revenue is not UNSET):
            raise ValueError("scrolling has neither props nor revenue")

    @property
    def kind(self) -> Literal["event", "page", "scroll"]:
        if self.event is not UNSET:
            return "event"
        return "page" if self.scroll is UNSET else "scroll"


class Funnel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Goals that lead to one another, the last at most `window_s` after the first."""

    name: Name
    steps: Annotated[tuple[Name, ...], Meta(min_length=STEPS_MIN, max_length=STEPS_MAX)]
    window_s: Annotated[int, Meta(ge=1, le=WINDOW_S_MAX)] = 86_400
    unit: Literal["visitor", "visit"] = "visitor"
    order: Literal["sequential", "strict", "any"] = "sequential"


class Segment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Filters with a name: a selection that is asked for often. All of them hold."""

    name: Name
    filters: Annotated[tuple[list[Any], ...], Meta(min_length=1, max_length=32)]


Goals = Annotated[tuple[Goal, ...], Meta(max_length=GOALS_MAX)]
Funnels = Annotated[tuple[Funnel, ...], Meta(max_length=FUNNELS_MAX)]
Segments = Annotated[tuple[Segment, ...], Meta(max_length=SEGMENTS_MAX)]
