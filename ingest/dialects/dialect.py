"""A dialect: how one kind of client speaks. It is one module, whose docstring is the specification,
with two pure functions, and a row in the table of routes.

    read(message)    → Reading: the events of a request, and what was left out, by reason.
                       Raises Refused: then nothing of the request is taken.
    answer(outcome)  → Answer: what that client needs to be content.
                       Raises Refused, which is told as a problem document.

A request is one append: all that is taken of it is kept, or nothing is.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Self

from starlette.datastructures import Headers, QueryParams

from ingest.event import ReceivedEvent
from ingest.receipt import decode
from ingest.refusal import Refusal, Refused


class LeftOut(StrEnum):
    """What a client may send that is no event: it is counted, and never stored."""

    IDENTIFY = "identify"  # who a person is, and what is known of them
    REPLAY = "replay"  # what a person saw and did on the screen
    PING = "ping"  # that somebody is still there


class Message(NamedTuple):
    """A request, as a dialect needs to know it."""

    path: str
    query: QueryParams
    headers: Headers
    body: bytes  # as it was before any Content-Encoding
    ack: str  # what a 202 promises when the request does not say: written or synced


@dataclass(frozen=True, slots=True)
class Options:
    synced: bool = False  # the 202 outlives a power cut
    visitor: bool = False  # an event without user_id gets the visitor's of this day


class Rejection(NamedTuple):
    """Why one event of a request is not taken."""

    refusal: Refusal
    detail: str
    site_id: str | None = None  # whose it is

    @classmethod
    def of(cls, refused: Refused) -> Self:
        return cls(refused.refusal, refused.detail, refused.site_id)


@dataclass(slots=True)
class Reading:
    """What a request says. An event's index counts the events and the rejected, from 0."""

    options: Options
    # valid by the schema; their time and visitor are added later
    events: list[ReceivedEvent] = field(default_factory=list)
    rejected: dict[int, Rejection] = field(default_factory=dict)  # by index
    left_out: Counter[LeftOut] = field(default_factory=Counter)

    def take(self, event: bytes) -> None:
        """One event, written as ours: so all dialects meet the same rules. One that breaks a rule
        costs the others nothing."""
        try:
            self.events.append(decode(event))
        except Refused as refused:
            index = len(self.events) + len(self.rejected)
            self.rejected[index] = Rejection.of(refused)


@dataclass(slots=True)
class Outcome:
    """What became of a request: the lines to append, and what was refused."""

    lines: bytes = b""
    accepted: int = 0
    rejected: int = 0
    refused: dict[Refusal, int] = field(default_factory=dict)  # how many, by reason
    refused_by_site: Counter[tuple[str, Refusal]] = field(default_factory=Counter)
    errors: list[tuple[int, Rejection]] = field(default_factory=list)  # the first, by index
    left_out: Counter[LeftOut] = field(default_factory=Counter)


class Answer(NamedTuple):
    status: int
    body: bytes
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the table of routes."""

    path: str
    methods: tuple[str, ...]
    read: Callable[[Message], Reading]
    answer: Callable[[Outcome], Answer]
    bytes_max: int  # of a body
    cors: bool = True  # pages of other origins may send, and ask whether they may
    # The targets that the fast path answers by itself, given the default of `ack`: one event a
    # request. What has some is no batch, and brings no history.
    plain_targets: Callable[[str], dict[bytes, Options]] | None = None
