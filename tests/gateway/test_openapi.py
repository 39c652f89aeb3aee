"""The OpenAPI document: valid, complete, and its examples are answered by a real server as it says."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from gateway_support import BY_NAME, DOCS, client_of, fill, send, serving
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from vecstore.gateway.bulk import NDJSON
from vecstore.gateway.filter_schema import SCHEMAS
from vecstore.gateway.routes import ROUTES
from vecstore.query.parse import KEYED, UNKEYED

DELETES_LAST = sorted(ROUTES, key=lambda route: ("delete" in route.name, "clear" in route.name))
CASES = [(route.name, name) for route in DELETES_LAST for name in route.examples]
RUN = [(route, name) for route, name in CASES if not BY_NAME[route].examples[name].needs]
# What needs an operation's id, or a database on disk.
NOT_RUN = {
    "get_operation", "cancel_operation", "watch_operation",
    "create_snapshot", "list_snapshots", "delete_snapshot", "restore_snapshot",
}  # fmt: skip


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> Any:
    return client.get("/openapi.json").json()


def test_the_document_is_valid_and_names_every_route_once(document: Any) -> None:
    validate(document)
    named = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert named == {(route.method, route.path) for route in ROUTES}
    names = [op["operationId"] for item in document["paths"].values() for op in item.values()]
    assert sorted(names) == sorted(BY_NAME)
    assert all(route.examples for route in ROUTES)
    assert {name for name, _ in CASES} - {name for name, _ in RUN} == NOT_RUN
    described = {tag["name"] for tag in document["tags"]}
    assert {tag for item in document["paths"].values() for op in item.values() for tag in op["tags"]} <= described


def test_examples_are_answered_as_the_document_says(client: httpx.Client, document: Any) -> None:
    """In one test: what an example deletes, another one made."""
    for route_name, example_name in RUN:
        route, asked = BY_NAME[route_name], f"{route_name}, {example_name}"
        response = send(client, route, route.examples[example_name])
        assert response.status_code == route.status, (asked, response.text)
        said = document["paths"][route.path][route.method.lower()]["responses"][str(route.status)]
        media = response.headers["content-type"].partition(";")[0]
        assert media in said["content"], (asked, media)
        if route.answer is not None:
            validator(document, said["content"][media]["schema"]).validate(response.json())
        if route.status == 202:
            assert client.get(response.headers["location"]).status_code == 200, asked


@pytest.mark.parametrize(("route_name", "example_name"), CASES)
def test_examples_fit_their_own_schemas(document: Any, route_name: str, example_name: str) -> None:
    route = BY_NAME[route_name]
    body = route.examples[example_name].body
    if body is not None:
        said = document["paths"][route.path][route.method.lower()]["requestBody"]["content"]["application/json"]
        validator(document, said["schema"]).validate(body)


def test_what_streams_answer_fits_its_schema(client: httpx.Client, document: Any) -> None:
    lines = {"content-type": NDJSON}
    done = client.post(f"{DOCS}/import", content=b'{"id": 1}\n{"id": 2}', headers=lines)
    validator(document, {"$ref": "#/components/schemas/Imported"}).validate(done.json())
    stored = validator(document, {"$ref": "#/components/schemas/StoredPoint"})
    for line in client.post(f"{DOCS}/export", json={}).iter_lines():
        stored.validate(json.loads(line))
    job = client.post(f"{DOCS}/verify").headers["location"]
    events = client.get(f"{job}/events").text
    data = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: ")]
    assert data[-1]["state"] == "done"
    for one in data:
        validator(document, {"$ref": "#/components/schemas/Operation"}).validate(one)


def test_a_formula_in_text_is_its_tree(client: httpx.Client) -> None:
    route = BY_NAME["query_points"]
    tree, text = (send(client, route, route.examples[f"by a formula{end}"]) for end in ("", " in text"))
    assert [one["score"] for one in text.json()["points"]] == [one["score"] for one in tree.json()["points"]]
    assert len(text.json()["points"]) > 1


def validator(document: Any, schema: Any) -> OAS31Validator:
    return OAS31Validator({**schema, "components": document["components"]})


def test_the_schema_of_filters_knows_every_condition() -> None:
    listed = [set(option["properties"]) - {"key"} for option in SCHEMAS["Condition"]["anyOf"][:-1]]
    assert set().union(*listed) == {*KEYED, *UNKEYED}


def test_the_page_of_documentation_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "openapi.json" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_head_is_get_without_a_body(client: httpx.Client) -> None:
    with_body, without = client.get("/v1/info"), client.head("/v1/info")
    assert without.status_code == 200
    assert without.content == b""
    assert abs(int(without.headers["content-length"]) - len(with_body.content)) < 20


def test_examples_can_be_run_twice() -> None:
    with serving() as (handle, _), client_of(handle) as client:
        fill(client)
        fill(client)
