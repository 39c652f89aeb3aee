"""REST of a process that others follow: a change of schemas is answered once they show it."""

from __future__ import annotations

from pathlib import Path

import pytest
from gateway_support import client_of, fill

from vecstore.config import Server, Settings, Storage
from vecstore.engine.database import Database
from vecstore.gateway.serving import start_server


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
