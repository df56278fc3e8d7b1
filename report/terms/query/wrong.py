"""What is wrong with a question: which word, where it stands, and what there is instead."""

from collections.abc import Iterable
from difflib import get_close_matches

WHAT_CHARACTERS_MAX = 380  # so that the place is told whole
ALL_MAX = 20  # of more words only those that are alike are told


class Wrong(ValueError):
    """`at` is a JSON path, as `$.filters[0][1]`."""

    def __init__(self, at: str, what: str) -> None:
        super().__init__(f"{what[:WHAT_CHARACTERS_MAX]} - at `{at}`")


def unknown(at: str, what: str, given: object, there: Iterable[str], more: str = "") -> Wrong:
    """`what`: of which kind the word would be."""
    words = list(there)
    named = words
    if len(words) > ALL_MAX:
        named = get_close_matches(str(given)[:100], words, n=5, cutoff=0.4) or words[:ALL_MAX]
    rest = ", …" if len(named) < len(words) else ""
    instead = f"; there are {', '.join(named)}{rest}" if words else ""
    return Wrong(at, f"there is no {what} {str(given)[:100]!r}{instead}{more}")
