"""Goals as SQL over an event. What a goal is, ingest.sites.goals says."""

import re
from collections.abc import Sequence

from ingest.sites.goals import Goal
from report.terms.dimensions import pointer_to
from report.terms.query.bound import Bound
from report.terms.query.wrong import Wrong, unknown
from report.terms.selection import PAGE_VIEW

ENGAGEMENT = "engagement"  # what prolongs a visit and is no event of its own


def condition(goal: Goal, bound: Bound) -> str:
    """Does the event fulfil it? Never null."""
    match goal.kind:
        case "event":
            parts = [f"event_type = {bound(goal.event)}"]
        case "page":
            parts = [f"event_type = {bound(PAGE_VIEW)}", _on(goal, bound)]
        case "scroll":
            parts = [f"scroll >= {bound(goal.scroll)}"]
            parts += [_on(goal, bound)] if goal.page else []
    parts += [_has(key, value, bound) for key, value in goal.props.items()]
    return f"coalesce({' AND '.join(parts)}, false)"


def is_event(goals: Sequence[Goal], bound: Bound) -> str:
    """Does the row count as an event? Engagement does if it fulfils one of these goals."""
    scrolls = [condition(goal, bound) for goal in goals if goal.kind == "scroll"]
    return f"({' OR '.join([f'event_type <> {bound(ENGAGEMENT)}', *scrolls])})"


def fulfilled(goals: Sequence[Goal], bound: Bound) -> str:
    """The list of the names of those that an event fulfils."""
    each = (f"CASE WHEN {condition(goal, bound)} THEN {bound(goal.name)} END" for goal in goals)
    return f"list_filter([{', '.join(each)}]::VARCHAR[], lambda name: name IS NOT NULL)"


def value(goal: Goal, bound: Bound) -> str:
    """What the event is worth; null if that is no number."""
    assert goal.revenue
    return number_of(goal.revenue, bound)


def number_of(key: str, bound: Bound) -> str:
    """The number that a value of props is, or is the text of; null: it is none."""
    text = f"json_extract_string(props, {bound(pointer_to(key))})"
    number = f"try_cast({text} AS DOUBLE)"
    return f"if(isfinite({number}), {number}, NULL)"


def named(goals: Sequence[Goal], name: str, at: str) -> Goal:
    """Raises Wrong."""
    for goal in goals:
        if goal.name == name:
            return goal
    more = "" if goals else '; give it in `goals`, as {"name": "Signup", "event": "signup"}'
    raise unknown(at, "goal", name, (goal.name for goal in goals), more)


def only_once(goals: Sequence[Goal], at: str) -> None:
    names = [goal.name for goal in goals]
    for n, name in enumerate(names):
        if name in names[:n]:
            raise Wrong(f"{at}[{n}].name", f"there are two goals {name!r}")


def pattern_of(page: str) -> str:
    """RE2 for a page with stars in it."""
    pieces = re.split(r"(\*\*|\*)", page)
    stars = {"**": ".*", "*": "[^/]*"}
    return "(?s)" + "".join(stars.get(piece) or _literal(piece) for piece in pieces)


def _literal(text: str) -> str:
    return re.sub(r"([^\w/-])", r"\\\1", text, flags=re.ASCII) if text.isascii() else _quoted(text)


def _quoted(text: str) -> str:
    """RE2 takes no backslash before a letter of another alphabet, and needs none."""
    return "".join(each if not each.isascii() else _literal(each) for each in text)


def _on(goal: Goal, bound: Bound) -> str:
    assert goal.page
    if "*" not in goal.page:
        return f"path = {bound(goal.page)}"
    return f"regexp_full_match(path, {bound(pattern_of(goal.page))})"


def _has(key: str, given: str | float, bound: Bound) -> str:
    text = f"json_extract_string(props, {bound(pointer_to(key))})"
    if isinstance(given, bool):
        return f"{text} = {bound(str(given).lower())}"
    if isinstance(given, str):
        return f"{text} = {bound(given)}"
    return f"try_cast({text} AS DOUBLE) = {bound(float(given))}::DOUBLE"
