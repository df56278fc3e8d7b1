"""Which of the consecutive numbers that somebody gave out: the segments of a writer, the parts of
a compactor. Exact, and short, for they are hardly ever missing one.

    Numbers := {owner: [[first, last], …]}      spans that ascend and do not touch
"""

from collections.abc import Iterable, Iterator

Numbers = dict[str, list[tuple[int, int]]]

SPANS_MAX = 1_000  # 20 bytes each


def of(numbers: Iterable[tuple[str, int]]) -> Numbers:
    """From an owner and a number each."""
    return joined({owner: [(number, number)]} for owner, number in numbers)


def joined(many: Iterable[Numbers]) -> Numbers:
    """All of them."""
    spans: Numbers = {}
    for each in many:
        for owner, more in each.items():
            spans.setdefault(owner, []).extend(more)
    return {owner: list(_merged(sorted(theirs))) for owner, theirs in spans.items()}


def to_keep(many: Iterable[Numbers]) -> Numbers:
    """All of them, for a footer: of more than SPANS_MAX spans those of the last owners."""
    kept = joined(many)
    surplus = sum(map(len, kept.values())) - SPANS_MAX
    while surplus > 0:
        owner = next(iter(kept))
        dropped = kept.pop(owner)
        if surplus < len(dropped):
            kept = {owner: dropped[surplus:]} | kept
        surplus -= len(dropped)
    return kept


def has(numbers: Numbers, owner: str, number: int) -> bool:
    return any(first <= number <= last for first, last in numbers.get(owner, ()))


def within(some: Numbers, numbers: Numbers) -> bool:
    """Are all of these among the others?"""
    return joined([numbers, some]) == joined([numbers])


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Those that touch or overlap become one."""
    held: tuple[int, int] | None = None
    for first, last in spans:
        if held is None:
            held = (first, last)
        elif first <= held[1] + 1:
            held = (held[0], max(held[1], last))
        else:
            yield held
            held = (first, last)
    if held is not None:
        yield held
