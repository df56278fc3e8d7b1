"""The document of /openapi.json, made of the structs that take questions and hold answers."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from ingest.http.problem import ProblemDetails
from report.http.resource import Resource
from report.problem import STATUS, Code

PROBLEM = "application/problem+json"
NO_CONTROL = r"^[^\x00-\x1F\x7F]*$"


def document(resources: Sequence[Resource], with_token: bool) -> dict[str, Any]:
    """OpenAPI 3.1."""
    kinds = [each for one in resources for each in (one.answers, one.body) if each]
    _, schemas = msgspec.json.schema_components(
        [*kinds, ProblemDetails], ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Footfall report", "version": "1"},
        "paths": {each.path: _operations(each, with_token) for each in resources},
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operations(resource: Resource, with_token: bool) -> dict[str, Any]:
    """By method."""
    asks_token = with_token and not resource.is_open
    name = resource.path.strip("/").replace("/", "_").replace(".", "_")
    every: dict[str, Any] = {"summary": resource.summary} | (
        {"security": [{"token": []}]} if asks_token else {}
    )
    get = {
        "operationId": name,
        "parameters": list(_parameters(resource.takes)),
        "responses": _responses(resource, resource.takes, asks_token),
    }
    if resource.body is None:
        return {"get": every | get}
    post = {
        "operationId": f"{name}_post",
        "requestBody": {"content": _json(resource.body), "required": True},
        "responses": _responses(resource, resource.body, asks_token),
    }
    return {"get": every | get, "post": every | post}


def _json(kind: type[Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}


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


def _responses(resource: Resource, takes: type[Struct], asks_token: bool) -> dict[str, Any]:
    content: dict[str, Any] = {media: {} for media in resource.other_types}
    if resource.answers:
        content = _json(resource.answers) | content
    responses: dict[str, Any] = {"200": {"description": "The answer.", "content": content}}
    refuses = [Code.BAD_PARAMETER, Code.METHOD_NOT_ALLOWED, Code.UNKNOWN_HOST, *resource.refuses]
    if takes is resource.body:
        refuses += [Code.TOO_LARGE, Code.UNSUPPORTED_ENCODING]
    if resource.is_cached and takes is resource.body:
        refuses.append(Code.UNCHANGED)
    elif resource.is_cached:
        responses["304"] = {"description": "What If-None-Match names is still the answer."}
    if resource.asks:
        refuses.append(Code.OVERLOADED)
    if asks_token:
        refuses.append(Code.UNAUTHORIZED)
    for code in refuses:
        responses[str(int(STATUS[code]))] = _refusal(STATUS[code])
    return responses


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {"description": status.phrase, "content": {PROBLEM: {"schema": schema}}}
