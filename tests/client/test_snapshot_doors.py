"""Snapshots through every way to reach a database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import vecstore
from vecstore import Dense, FailedPrecondition, InvalidArgument, NotFound
from vecstore.cli.app import app
from vecstore.config import Server, Settings
from vecstore.engine.database import Database
from vecstore.gateway.serving import start_server

ROWS = np.eye(4, dtype=np.float32)


@pytest.fixture(params=["grpc", "http"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    folders = {"snapshots_dir": str(tmp_path / "kept"), "restore_dir": str(tmp_path / "back")}
    settings = Settings(server=Server(port=0, rest_port=0, **folders))
    with Database.open(tmp_path / "db", settings) as database, start_server(database, settings) as server:
        yield f"{request.param}://127.0.0.1:{server.port if request.param == 'grpc' else server.rest_port}"


def test_a_server_keeps_snapshots_under_names(target: str, tmp_path: Path) -> None:
    with vecstore.connect(target) as db:
        db.create_collection("docs", Dense(4)).upsert(range(4), ROWS)
        assert db.snapshot("nightly").state == "done"
        db.collection("docs").delete([0])
        (info,) = db.list_snapshots()
        assert (info.name, info.points, info.seqs, info.error) == ("nightly", {"docs": 4}, {"docs": 1}, None)
        assert info.bytes > 0
        for name in ("../x", "/tmp/x", "a/b"):
            with pytest.raises(InvalidArgument, match="BAD_NAME"):
                db.snapshot(name)
            with pytest.raises(InvalidArgument, match="BAD_NAME"):
                db.restore_snapshot("nightly", name)
        with pytest.raises(FailedPrecondition, match="PATH_EXISTS"):
            db.snapshot("nightly")
        with pytest.raises(NotFound, match="SNAPSHOT_NOT_FOUND"):
            db.restore_snapshot("other", "again")
        db.restore_snapshot("nightly", "again")
        assert db.delete_snapshot("nightly")
        assert not db.delete_snapshot("nightly")
        assert db.list_snapshots() == []
    with vecstore.connect(tmp_path / "back" / "again") as db:
        assert db.collection("docs").count() == 4


def test_embedded_and_by_command(tmp_path: Path) -> None:
    with vecstore.connect(tmp_path / "db") as db:
        db.create_collection("docs", Dense(4)).upsert(range(4), ROWS)
        seen: list[Any] = []
        db.snapshot(tmp_path / "one")
        vecstore.restore(tmp_path / "one", tmp_path / "copy", progress=lambda *args: seen.append(args))
        assert (
            seen[-1][1] == seen[-1][2] == sum(p.stat().st_size for p in (tmp_path / "copy").rglob("*") if p.is_file())
        )
    run = CliRunner().invoke
    for arguments in (
        ["snapshot", str(tmp_path / "two"), "--target", str(tmp_path / "db")],
        ["restore", str(tmp_path / "two"), str(tmp_path / "again")],
        ["snapshots", "--target", str(tmp_path / "db"), "--json"],
    ):
        result = run(app, arguments)
        assert result.exit_code == 0, result.output
    result = run(app, ["restore", str(tmp_path / "two"), str(tmp_path / "again")])
    assert result.exit_code == 1
    with vecstore.connect(tmp_path / "again") as db:
        assert db.collection("docs").count() == 4
