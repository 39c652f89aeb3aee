"""A real server with both doors in this process, and HTTP clients for it."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import httpx
from served import served

from vecstore.config import Limits
from vecstore.engine.database import Database
from vecstore.gateway.bulk import NDJSON
from vecstore.gateway.route import Example, Route
from vecstore.gateway.routes import ROUTES
from vecstore.gateway.serving import start_server
from vecstore.server.running import ServerHandle

JSON = {"content-type": "application/json"}
DOCS = "/v1/collections/docs"
BY_NAME = {route.name: route for route in ROUTES}


def serving(
    limits: Limits | None = None, **server: Any
) -> contextlib.AbstractContextManager[tuple[ServerHandle, Database]]:
    return served(start_server, limits, port=0, rest_port=0, **server)


def client_of(handle: ServerHandle, **options: Any) -> httpx.Client:
    headers = {"accept-encoding": "identity", **options.pop("headers", {})}
    return httpx.Client(base_url=f"http://127.0.0.1:{handle.rest_port}", headers=headers, timeout=60, **options)


def send(client: httpx.Client, route: Route, example: Example, **options: Any) -> httpx.Response:
    path = re.sub(r"\{(\w+)\}", lambda match: example.params[match[1]], route.path)
    if example.body is not None:
        options["json"] = example.body
    if example.lines:
        headers = httpx.Headers(options.pop("headers", None))
        options |= {"content": example.lines, "headers": [*headers.multi_items(), ("content-type", NDJSON)]}
    return client.request(route.method, path, params=dict(example.query), **options)


def fill(client: httpx.Client) -> None:
    """The collection of the examples, with their points."""
    for name in ("create_collection", "upsert_points"):
        for example in BY_NAME[name].examples.values():
            assert send(client, BY_NAME[name], example).status_code == 200


def refused(response: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """The problem, which says the same in the status line and in the body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (problem["status"], problem["reason"]) == (status, reason)
    assert problem["type"].startswith("urn:vecstore:error:")
    assert problem["request_id"] == response.headers["x-request-id"]
    return problem


def paths(problem: dict[str, Any]) -> list[str]:
    return [one["path"] for one in problem["errors"]]
