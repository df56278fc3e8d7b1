"""A question: what it takes, what it answers, of which events, and how it asks them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from report.http.responses import Table
from report.snapshot.relation import Relation
from report.terms.period import Dates
from report.terms.selection import Selection

Asked = TypeVar("Asked", bound=Struct)

EVERY = Dates()
Instant = Annotated[str, Meta(description="RFC 3339, in UTC with microseconds.")]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a question can be about at most, so that nothing else need be looked at."""

    site: str | None = None  # None: all
    dates: Dates = EVERY


def of_selection(asked: Selection) -> Scope:
    return Scope(asked.site_id, asked.period.utc_dates())


def nothing(asked: Any) -> None:
    """Refuses nothing."""


@dataclass(frozen=True, kw_only=True)
class Question(Generic[Asked]):
    path: str
    summary: str
    takes: type[Asked]
    answers: type[Struct]
    table: Table | None = None
    scope: Callable[[Asked], Scope]
    ask: Callable[[Relation, Asked], Struct]  # in a thread
    # The same about these sites alone, for who may not ask about all
    ask_among: Callable[[Relation, Asked, frozenset[str]], Struct] | None = None
    refuse: Callable[[Asked], None] = nothing  # raises Problem, before anything is looked at
    depends_on_clock: bool = False  # then no tag says what its answer is

    @cached_property
    def format(self) -> bytes:
        """Differs when the same figures are told differently."""
        return format_of(self.answers)


def format_of(answers: type[Struct]) -> bytes:
    return blake2b(msgspec.json.encode(msgspec.json.schema(answers)), digest_size=16).digest()
