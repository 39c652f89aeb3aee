"""Every route with no key, a wrong one, and one of each role: the matrix of what is let in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_support import BY_NAME, client_of, fill, send, serving

from vecstore.access import Action
from vecstore.access.file import change_keys
from vecstore.access.keys import new_key
from vecstore.gateway.route import Example, Route, Scope
from vecstore.gateway.routes import ROUTES

ROOT_KEY = "k" * 32
ROLES = {"read": Action.READ, "write": Action.WRITE, "admin": Action.ADMIN}
# What each route may be called for. A new route belongs here, too: the table is the second opinion.
OPEN = {"livez", "healthz", "readyz", "openapi", "docs", "console", "console_file"}
WRITES = {
    "upsert_points", "delete_points", "set_payload", "overwrite_payload", "delete_payload", "clear_payload",
    "update_vectors", "delete_vectors", "update_batch", "import_points", "ingest_documents",
}  # fmt: skip
ADMINS = {
    "create_collection", "delete_collection", "update_collection", "create_field_index", "delete_field_index",
    "update_index", "tune_collection", "compact_collection", "verify_collection", "verify_all", "cancel_operation",
    "update_aliases", "set_alias", "delete_alias",
    "create_snapshot", "list_snapshots", "delete_snapshot", "restore_snapshot",
}  # fmt: skip


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    made = {role: new_key(role, role) for role in ROLES}
    made |= {f"{role}-other": new_key(f"{role}-other", role, ("other",)) for role in ROLES}
    change_keys(path, lambda _: tuple(record for _, record in made.values()))
    return path, {name: key for name, (key, _) in made.items()}


@pytest.fixture(scope="module")
def client(keys: tuple[Path, dict[str, str]]) -> Iterator[httpx.Client]:
    with serving(api_key=ROOT_KEY, keys_file=str(keys[0])) as (handle, _), client_of(handle) as client:
        client.headers["api-key"] = ROOT_KEY
        fill(client)
        del client.headers["api-key"]
        yield client


def ask(client: httpx.Client, route: Route, *headers: tuple[str, str]) -> httpx.Response:
    return send(client, route, next(iter(route.examples.values())), headers=list(headers))


def wanted(route: Route) -> Action | None:
    if route.name in OPEN:
        return None
    if "document" in route.name and route.method in ("PUT", "DELETE"):
        return Action.WRITE
    return Action.ADMIN if route.name in ADMINS else Action.WRITE if route.name in WRITES else Action.READ


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_keys_and_roles(client: httpx.Client, keys: tuple[Path, dict[str, str]], name: str) -> None:
    route, made = BY_NAME[name], keys[1]
    action = wanted(route)
    assert (route.scope is Scope.OPEN) == (action is None)
    nobody: list[list[tuple[str, str]]] = [
        [],
        [("api-key", "wrong")],
        [("authorization", f"Basic {ROOT_KEY}")],
        [("api-key", ROOT_KEY), ("authorization", f"Bearer {ROOT_KEY}")],
        [("api-key", made["admin"][:-1] + "x")],
    ]
    for headers in nobody:
        response = ask(client, route, *headers)
        assert (response.status_code == 401) == (action is not None), response.text
        if action is not None:
            assert response.headers["www-authenticate"] == "Bearer"
    if action is None:
        return
    for role, reach in ROLES.items():
        allowed = reach >= action
        response = ask(client, route, ("authorization", f"Bearer {made[role]}"))
        assert (response.status_code == 403) == (not allowed), (role, response.text)
        # A key for other collections sees nothing of these, whatever its role.
        response = ask(client, route, ("api-key", made[f"{role}-other"]))
        if route.scope is Scope.OWN and allowed:
            assert response.status_code != 403
            assert "docs" not in response.text.replace("/docs", "")
        else:
            assert response.status_code == 403, response.text


def test_the_table_names_every_route() -> None:
    assert all(route.action is (wanted(route) or Action.READ) for route in ROUTES)


def test_operations_of_other_collections_do_not_exist(client: httpx.Client, keys: tuple[Path, dict[str, str]]) -> None:
    root = {"api-key": ROOT_KEY}
    id = send(client, BY_NAME["verify_collection"], Example(params={"collection": "docs"}), headers=root).json()["id"]
    other: Any = {"api-key": keys[1]["admin-other"]}
    for path in (f"/v1/operations/{id}", f"/v1/operations/{id}/events"):
        assert client.get(path, headers=other).json()["reason"] == "OPERATION_NOT_FOUND"
        assert client.get(path, headers=root).status_code == 200
    assert client.get("/v1/operations", headers=other).json() == {"operations": []}
