"""The OpenAPI 3.1 document, made from the table of routes: what is not in the table is not served, and the other way
around. Schemas are those of the Structs that decode the bodies; filters and formulas, which have parsers of their own,
are written here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from vecstore.config import Limits
from vecstore.gateway.bulk import NDJSON
from vecstore.gateway.filter_schema import SCHEMAS
from vecstore.gateway.route import Route, Scope
from vecstore.version import __version__
from vecstore.wire.rest.problem import Problem

TEMPLATE = "#/components/schemas/{name}"
NAME = r"^[A-Za-z0-9_-]{1,255}$"
ABOUT = (
    "A vector database. Ids are numbers or strings, of which one that looks like a UUID is a UUID; vectors are lists "
    "of numbers, packed numbers in base64, sparse pairs or texts."
)
EXAMPLE_COLLECTION = "docs"
# What is in an answer of a media type: of events, in each of them.
GIVEN: dict[str, dict[str, Any]] = {
    "application/json": {"type": "object"},
    "text/event-stream": {
        "type": "object",
        "properties": {
            "event": {"type": "string"},
            "data": {"type": "string", "contentMediaType": "application/json"},
        },
    },
}
TAGS = {
    "service": "Facts, health, this document.",
    "info": "Facts about the server.",
    "collections": "Collections, their schemas and indexes.",
    "aliases": "Other names of collections.",
    "points": "Writing, reading and searching points.",
    "documents": "Texts and files, found by what they say.",
    "operations": "Long jobs.",
    "verify": "Checking every stored byte.",
    "snapshots": "The whole database as it was at one moment.",
}
HEADERS: dict[str, Any] = {
    "X-Request-Id": {"description": "As given, or a new one; logged.", "schema": {"type": "string"}},
}
COMMON = (
    {"name": "X-Request-Id", "in": "header", "description": "Comes back and is logged, if it is of a decent form.",
     "schema": {"type": "string"}},
    {"name": "X-Timeout-Ms", "in": "header", "description": "The call ends with 504 after so many milliseconds.",
     "schema": {"type": "integer", "minimum": 1, "maximum": 1 << 31}},
)  # fmt: skip
# What any call may be refused with, beside what its route says.
REFUSALS = {
    400: "The request is wrong.",
    401: "No key, or none that is known.",
    403: "The key's role, or its collections, do not reach so far.",
    404: "There is no such collection, point, operation or page.",
    408: "The request did not arrive in time.",
    409: "A name or an id is taken.",
    412: "The store is in a state that refuses this.",
    413: "The body is larger than limits.message_bytes_max.",
    415: "The body's media type or encoding is not known.",
    429: "Too many calls, or an answer that is too large.",
    500: "An error of the server, or damaged data.",
    501: "Not built.",
    503: "Not now: try again after Retry-After seconds.",
    504: "The time for the call ran out.",
}


def document(routes: Sequence[Route], limits: Limits) -> dict[str, Any]:
    kinds = [kind for route in routes for kind in (route.body, route.query, route.answer) if kind is not None]
    _, components = msgspec.json.schema_components([*kinds, Problem], ref_template=TEMPLATE)
    schemas: dict[str, Any] = {**components, **SCHEMAS}
    schemas = {name: _clean(schema) for name, schema in schemas.items()}
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, limits)
    for route in routes:
        if route.query is not None:
            schemas.pop(route.query.__name__, None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "vecstore",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": said} for name, said in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "api-key": {"type": "apiKey", "in": "header", "name": "api-key"},
            },
            "responses": {"Problem": {
                "description": "What is wrong (RFC 9457).",
                "headers": HEADERS,
                "content": {"application/problem+json": {"schema": {"$ref": TEMPLATE.format(name="Problem")}}},
            }},
        },
    }  # fmt: skip


def _operation(route: Route, schemas: dict[str, Any], limits: Limits) -> dict[str, Any]:
    said = re.sub(r"\s+", " ", (route.body.__doc__ or "") if route.body is not None else "").strip()
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*_path_parameters(route), *_query_parameters(route, schemas), *COMMON],
        "responses": _responses(route),
    }
    if said:
        operation["description"] = said
    if route.scope is not Scope.OPEN:
        operation["security"] = [{"bearer": []}, {"api-key": []}, {}]
        operation["x-vecstore-action"] = route.action.name.lower()
    if route.body is not None or route.reads:
        content: dict[str, Any] = {}
        if route.body is not None:
            examples = {name: {"value": one.body} for name, one in route.examples.items() if one.body is not None}
            content["application/json"] = {"schema": _schema_of(route.body)}
            if examples:
                content["application/json"]["examples"] = examples
        for media in route.reads:
            content[media] = {"schema": {"type": "string", "format": "binary"}}
            lines = {name: {"value": one.lines} for name, one in route.examples.items() if one.lines}
            if lines and media == NDJSON:
                content[media]["examples"] = lines
        operation["requestBody"] = {
            "required": not route.body_optional,
            "description": f"At most {limits.message_bytes_max} bytes, also after decompression (gzip, zstd)."
            if not route.raw_body else "Of any length; gzip or zstd.",
            "content": content,
        }  # fmt: skip
    return operation


def _path_parameters(route: Route) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", route.path):
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if name in ("collection", "vector"):
            schema = {"type": "string", "pattern": NAME}
        found = {"name": name, "in": "path", "required": True, "schema": schema}
        values = {one.params[name] for one in route.examples.values() if name in one.params}
        if not values and name == "collection":
            values = {EXAMPLE_COLLECTION}
        if values:
            found["example"] = sorted(values)[0]
        yield found


def _query_parameters(route: Route, schemas: dict[str, Any]) -> Iterable[dict[str, Any]]:
    if route.query is None:
        return
    for name, schema in schemas[route.query.__name__]["properties"].items():
        found = {"name": name, "in": "query", "required": False, "schema": _without_null(schema)}
        values = {one.query[name] for one in route.examples.values() if name in one.query}
        if values:
            found["example"] = sorted(values)[0]
        yield found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is there or not, and never null."""
    options = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(options) == 1:
        return dict(options[0])
    return schema


def _responses(route: Route) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": route.summary, "headers": dict(HEADERS), "content": {}}
    if route.answer is not None:
        answer["content"]["application/json"] = {"schema": _schema_of(route.answer)}
    for media in route.gives:
        answer["content"][media] = {"schema": GIVEN.get(media, {"type": "string"})}
    if route.status == 202:
        answer["headers"]["Location"] = {"description": "Of the operation.", "schema": {"type": "string"}}
    responses = {str(route.status): answer}
    for status, said in REFUSALS.items():
        if route.scope is Scope.OPEN and status in (409, 412, 413, 415):
            continue
        responses[str(status)] = {"$ref": "#/components/responses/Problem", "description": said}
    return responses


def _schema_of(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=TEMPLATE)
    return dict(schema)


def _clean(schema: Any) -> Any:
    """Docstrings on one line; no nulls as defaults, which generators take for values to send."""
    if isinstance(schema, dict):
        cleaned = {name: _clean(value) for name, value in schema.items() if not (name == "default" and value is None)}
        if isinstance(cleaned.get("description"), str):
            cleaned["description"] = re.sub(r"\s+", " ", cleaned["description"])
        return cleaned
    return [_clean(one) for one in schema] if isinstance(schema, list) else schema
