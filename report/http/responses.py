"""Answers as bytes: JSON, or CSV for who accepts that, with an ETag (RFC 9110)."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgspec
import orjson
from starlette.datastructures import Headers
from starlette.responses import Response

from ingest.http.problem import Refused
from report.problem import PROBLEMS, Code

JSON = "application/json"
JSON_RANGES = (JSON, "application/*", "*/*")  # the most specific one counts
CSV = "text/csv; charset=utf-8"
VERSION = b"2"  # raised when the same events are answered otherwise, in the same shape
FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # how a formula begins, for one spreadsheet or other


@dataclass(frozen=True, slots=True)
class Table:
    """The field of an answer that is told as CSV, and the struct of its rows."""

    field: str
    row: type[msgspec.Struct]


def to_body(told: msgspec.Struct, table: Table | None, media_type: str) -> bytes:
    if table is None or media_type == JSON:
        return to_json(told)
    columns = table.row.__struct_fields__
    rows = msgspec.to_builtins(getattr(told, table.field))
    return to_csv(columns, ([row[name] for name in columns] for row in rows))


def to_json(told: msgspec.Struct) -> bytes:
    return orjson.dumps(msgspec.to_builtins(told))


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """RFC 4180; null is an empty field, and no text is a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_no_formula(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _no_formula(value: object) -> object:
    """Visitors' browsers choose these texts, and a spreadsheet would run them (OWASP)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def media_type_for(headers: Headers, is_table: bool) -> str:
    """CSV if it is a table, and Accept names text/csv and likes it no less than JSON."""
    if not is_table:
        return JSON
    liked = dict(map(_weight, ",".join(headers.getlist("accept")).split(",")))
    csv_weight = liked.get("text/csv", 0.0)
    json_weight = next((liked[each] for each in JSON_RANGES if each in liked), 0.0)
    return CSV if csv_weight > 0 and csv_weight >= json_weight else JSON


def _weight(media_range: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in media_range.split(";"))
    quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return name, float(quality)
    except ValueError:
        return name, 0.0


def entity_tag(*depends_on: bytes) -> str:
    """Of all that an answer depends on. Weak: a proxy that compresses may change the bytes."""
    digest = blake2b(digest_size=16)
    for each in (VERSION, *depends_on):
        digest.update(len(each).to_bytes(8, "big") + each)
    return f'W/"{digest.hexdigest()}"'


def is_known(headers: Headers, tag: str) -> bool:
    """Does If-None-Match have this tag?"""
    given = [each.strip() for each in ",".join(headers.getlist("if-none-match")).split(",")]
    return "*" in given or tag in given or tag.removeprefix("W/") in given


NOT_CACHED = {"cache-control": "no-store", "vary": "Accept, Authorization"}


def tagged(body: bytes, tag: str, media_type: str) -> Response:
    return Response(body, headers=cached(tag), media_type=media_type)


def not_modified(tag: str) -> Response:
    return Response(status_code=304, headers=cached(tag))


def cached(tag: str) -> dict[str, str]:
    return {"etag": tag, "cache-control": "private, no-cache", "vary": "Accept, Authorization"}


def of_this_moment(body: bytes, media_type: str) -> Response:
    return Response(body, headers=NOT_CACHED, media_type=media_type)


def refuse(problem: Refused) -> Response:
    headers = {"cache-control": "no-store"}
    if problem.code == Code.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return PROBLEMS.answer(problem, headers)
