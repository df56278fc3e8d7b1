"""A path: what it takes, what it answers, and who does it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from report.http.query_string import Nothing
from report.problem import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    path: str
    summary: str
    get: Callable[[Request], Awaitable[Response]]
    takes: type[Struct] = Nothing
    body: type[Struct] | None = None  # with POST, in place of what it takes; `get` answers it too
    answers: type[Struct] | None = None  # as JSON
    other_types: tuple[str, ...] = ()
    is_cached: bool = False  # by ETag
    is_open: bool = False  # to who has no token
    asks: bool = False  # a query, which may fail
    refuses: tuple[Code, ...] = ()  # in ways of its own

    @property
    def methods(self) -> list[str]:
        return ["GET", "POST"] if self.body else ["GET"]
