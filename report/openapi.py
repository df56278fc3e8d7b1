"""The document of /openapi.json, made of the structs that take questions and hold answers."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from ingest.http.problem import ProblemDetails
from report.http.reader import Audience
from report.http.resource import Resource
from report.problem import STATUS, Code

PROBLEM = "application/problem+json"
NO_CONTROL = r"^[^\x00-\x1F\x7F]*$"


def document(resources: Sequence[Resource], with_token: bool) -> dict[str, Any]:
    """OpenAPI 3.1."""
    kinds = [resource.answers for resource in resources if resource.answers]
    _, schemas = msgspec.json.schema_components(
        [*kinds, ProblemDetails], ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Footfall report", "version": "1"},
        "paths": {each.path: {"get": _operation(each, with_token)} for each in resources},
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(resource: Resource, with_token: bool) -> dict[str, Any]:
    asks_token = with_token and resource.audience is not Audience.ANYBODY
    return {
        "operationId": resource.path.strip("/").replace("/", "_").replace(".", "_"),
        "summary": resource.summary,
        "parameters": list(_parameters(resource.takes)),
        "responses": _responses(resource, asks_token),
    } | ({"security": [{"token": []}]} if asks_token else {})


def _parameters(takes: type[Struct]) -> Any:
    _, components = msgspec.json.schema_components([takes])
    [schema] = components.values()
    for name, described in schema["properties"].items():
        described = dict(described)
        if described.get("type") == "string" and not {"format", "pattern"} & described.keys():
            described["pattern"] = NO_CONTROL
        yield {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": described.pop("description", ""),
            "schema": described,
        }


def _responses(resource: Resource, asks_token: bool) -> dict[str, Any]:
    content: dict[str, Any] = {media: {} for media in resource.other_types}
    if resource.answers:
        schema = {"$ref": f"#/components/schemas/{resource.answers.__name__}"}
        content = {"application/json": {"schema": schema}, **content}
    responses: dict[str, Any] = {"200": {"description": "The answer.", "content": content}}
    if resource.is_cached:
        responses["304"] = {"description": "What If-None-Match names is still the answer."}
    refuses = [Code.BAD_PARAMETER, Code.METHOD_NOT_ALLOWED, Code.UNKNOWN_HOST]
    if resource.asks:
        refuses.append(Code.OVERLOADED)
    if asks_token:
        refuses += [Code.UNAUTHORIZED, Code.FORBIDDEN]
    for code in refuses:
        responses[str(int(STATUS[code]))] = _refusal(STATUS[code])
    return responses


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {"description": status.phrase, "content": {PROBLEM: {"schema": schema}}}
