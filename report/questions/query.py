"""POST /query, /api/v2/query: any metrics of any selection by any dimensions, see docs/query.md.

With GET the question is the parameter `query`, and its answer can be kept by ETag.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from ingest.http.body import decoded
from report.http.query_string import Nothing, decode
from report.http.reader import Audience
from report.http.resource import Resource
from report.http.responses import CSV, JSON, media_type_for, to_csv, to_json
from report.problem import Code, Problem
from report.questions.answer import Answer, table
from report.questions.query_run import Form, asked
from report.questions.question import format_of
from report.terms.query.body import Body

BODY_BYTES_MAX = 64 * 1024
FORMAT = format_of(Answer)
FORMS = {
    JSON: Form(FORMAT, JSON, to_json),
    CSV: Form(FORMAT, CSV, lambda answer: to_csv(*table(answer))),
}


class Takes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    query: Annotated[str, Meta(min_length=2, description="The question, as JSON.")]


async def answer(request: Request) -> Response:
    """Raises Problem."""
    if request.method == "POST":
        decode(request.scope["query_string"], Nothing)
        encoding = request.headers.get("content-encoding", "")
        text = decoded(await request.body(), encoding, BODY_BYTES_MAX)
    else:
        text = decode(request.scope["query_string"], Takes).query.encode()
    form = FORMS[media_type_for(request.headers, is_table=True)]
    return await asked(request, _body(text), form)


def _body(text: bytes) -> Body:
    try:
        return msgspec.json.decode(text, type=Body)
    except msgspec.ValidationError as error:
        raise Problem(Code.BAD_QUERY, f"{error}.") from None
    except msgspec.DecodeError as error:
        raise Problem(Code.MALFORMED_JSON, f"{error}.") from None
    except RecursionError:
        raise Problem(Code.MALFORMED_JSON, "It is nested too deeply.") from None


def resource(path: str) -> Resource:
    return Resource(
        path=path,
        summary="Any metrics of any selection, by any dimensions",
        get=answer,
        takes=Takes,
        body=Body,
        answers=Answer,
        other_types=("text/csv",),
        is_cached=True,
        audience=Audience.READERS_OF_SITE,
        asks=True,
    )


RESOURCES = (resource("/query"), resource("/api/v2/query"))
