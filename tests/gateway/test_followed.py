"""REST of a process that others follow: a change of schemas is answered once they show it, and any write where they
answer REST, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from gateway_support import BY_NAME, client_of, fill, refused

from vecstore import CreateAlias, Dense
from vecstore.access import Action
from vecstore.config import Server, Settings, Storage
from vecstore.engine.database import Database
from vecstore.gateway import serving
from vecstore.gateway.passing import LOCAL, MEANWHILE
from vecstore.gateway.routes import ROUTES
from vecstore.gateway.serving import beside, start_server
from vecstore.schema import Schema
from vecstore.server import running
from vecstore.server.doors import Place
from vecstore.types import PointBatch, UpsertRequest, VectorBatch


@pytest.mark.parametrize("followed", [True, False])
def test_changes_of_schemas_wait_for_followers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, followed: bool) -> None:
    settings = Settings(server=Server(port=0, rest_port=0), storage=Storage(feed=followed))
    waited: list[int] = []
    monkeypatch.setattr(Database, "shown", lambda database: waited.append(len(database.list_collections())))
    with (
        Database.open(tmp_path / "db", settings) as database,
        start_server(database, settings) as handle,
        client_of(handle) as client,
    ):
        fill(client)  # creates two collections and writes points
        assert waited == ([1, 2] if followed else [])
        assert client.post("/v1/collections/docs/points/count", json={}).status_code == 200
        assert client.delete("/v1/collections/docs").status_code == 200
        assert waited == ([1, 2, 1] if followed else [])


def test_writes_passed_on_by_readers_wait_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(server=Server(port=0), storage=Storage(feed=True))
    waited: list[int] = []
    monkeypatch.setattr(Database, "shown", lambda database: waited.append(database.collection_info("docs").points))
    place = Place(socket=str(tmp_path / "writer"))
    with (
        Database.open(tmp_path / "db", settings) as database,
        running.start_server(database, settings, beside=lambda inside: beside(replace(inside, place=place))),
        httpx.Client(
            transport=httpx.HTTPTransport(uds=f"{place.socket}.rest"), base_url="http://127.0.0.1", timeout=60
        ) as client,
    ):
        path = "/v1/collections/docs"
        line = '{"id": 2, "vectors": {"v": [1, 0]}}'
        assert client.put(path, json={"schema": {"vectors": {"v": {"dim": 2}}}}).status_code == 200
        assert client.put(f"{path}/points", json={"points": [{"id": 1, "vectors": {"v": [1, 0]}}]}).status_code == 200
        lines = {"content-type": "application/x-ndjson"}
        assert client.post(f"{path}/import", content=line, headers=lines).status_code == 200
        assert client.post(f"{path}/points/count").json()["count"] == 2
        assert client.post(f"{path}/points/delete", json={"ids": [1]}).status_code == 200
        assert waited == [0, 1, 2, 1]


def test_a_reader_looks_an_alias_up_once_it_shows_what_the_caller_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(server=Server(port=0, rest_port=0))
    asked: list[Mapping[str, int]] = []

    async def shown_late(database: Database, seqs: Mapping[str, int], _deadline: float) -> None:
        asked.append(seqs)
        database.update_aliases([CreateAlias("live", "green")])

    monkeypatch.setattr(serving, "seen", shown_late)
    place = Place(writer=str(tmp_path / "none"))
    with (
        Database.open(None, settings) as database,
        running.start_server(database, settings, beside=lambda inside: beside(replace(inside, place=place))) as handle,
        client_of(handle) as client,
    ):
        for name, count in (("blue", 1), ("green", 2)):
            database.create_collection(name, Schema({"v": Dense(2)}))
            batch = PointBatch(list(range(count)), {"v": VectorBatch(np.ones((count, 2), np.float32))})
            database.write(UpsertRequest(name, batch))
        database.update_aliases([CreateAlias("live", "blue")])
        path = "/v1/collections/live/points"
        assert client.post(f"{path}/count").json()["count"] == 1
        assert client.post(f"{path}/count", json={"min_seqs": {"green": 1}}).json()["count"] == 2
        assert asked == [{"green": 1}]
        # There is no writer: what a reader knows itself it tells meanwhile.
        assert client.get("/v1/collections/live").json()["name"] == "green"
        refused(client.post(f"{path}/delete", json={"ids": [1]}), 503, "UNAVAILABLE")


def test_what_a_reader_answers_are_reads() -> None:
    """And what only waits: everything else is the writer's, whether or not anybody thought of it."""
    assert LOCAL.isdisjoint(MEANWHILE)
    assert {BY_NAME[name].action for name in LOCAL | MEANWHILE} == {Action.READ}
    reads = {route.name for route in ROUTES if route.action is Action.READ}
    assert reads - LOCAL - MEANWHILE == {
        "info", "list_operations", "list_collection_operations", "get_operation", "watch_operation",
    }  # fmt: skip
