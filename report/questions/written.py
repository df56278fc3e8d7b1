"""A question that is written as JSON, in the language of docs/query.md.

POST has it as the body, GET as the parameter `query`, whose answer can be kept by ETag.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from ingest.http.body import decoded
from report.http.query_string import Nothing, decode
from report.http.resource import Resource
from report.http.responses import CSV, JSON, media_type_for, to_csv, to_json
from report.problem import Code, Problem
from report.questions.query_run import Answer, Asked, Body, Form, Kind, asked
from report.questions.question import format_of

BODY_BYTES_MAX = 64 * 1024

Table = tuple[Sequence[str], Sequence[Sequence[object]]]  # the names of columns, and rows


class Takes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    query: Annotated[str, Meta(min_length=2, description="The question, as JSON.")]


@dataclass(frozen=True, kw_only=True)
class Written(Generic[Body, Asked, Answer]):
    name: str
    summary: str
    body: type[Body]
    answers: type[Answer]
    table: Callable[[Answer], Table]
    kind: Kind[Body, Asked, Answer]
    refuses: tuple[Code, ...] = ()  # besides what every question refuses

    async def answer(self, request: Request) -> Response:
        """Raises Problem."""
        body = _body(await _text(request), self.body)
        return await asked(request, self.kind, body, self._form(request))

    def _form(self, request: Request) -> Form[Answer]:
        version = format_of(self.answers)
        if media_type_for(request.headers, is_table=True) == CSV:
            return Form(version, CSV, lambda answer: to_csv(*self.table(answer)))
        return Form(version, JSON, to_json)

    @property
    def resources(self) -> list[Resource]:
        return [
            Resource(
                path=path,
                summary=self.summary,
                get=self.answer,
                takes=Takes,
                body=self.body,
                answers=self.answers,
                other_types=("text/csv",),
                is_cached=True,
                asks=True,
                refuses=self.refuses,
            )
            for path in (f"/{self.name}", f"/api/v2/{self.name}")
        ]


async def _text(request: Request) -> bytes:
    if request.method == "POST":
        decode(request.scope["query_string"], Nothing)
        encoding = request.headers.get("content-encoding", "")
        return decoded(await request.body(), encoding, BODY_BYTES_MAX)
    return decode(request.scope["query_string"], Takes).query.encode()


def _body(text: bytes, kind: type[Body]) -> Body:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise Problem(Code.BAD_QUERY, f"{error}.") from None
    except msgspec.DecodeError as error:
        raise Problem(Code.MALFORMED_JSON, f"{error}.") from None
    except RecursionError:
        raise Problem(Code.MALFORMED_JSON, "It is nested too deeply.") from None
