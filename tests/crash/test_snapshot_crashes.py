"""A process that dies while it takes or restores a snapshot: nothing half made is ever seen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from crash_engine import TINY, open_client
from crash_points import EXIT
from faults.children import REPOSITORY

import vecstore
from vecstore.config import Settings
from vecstore.engine.database import Database

CHILD = Path(__file__).with_name("snapshot_child.py")
STORAGE = "vecstore.storage.snapshots:"
TAKING = [
    ("vecstore.storage.rocks_database:RocksDatabase.checkpoint", "before", 1),
    ("vecstore.storage.rocks_database:RocksDatabase.checkpoint", "after", 1),
    (f"{STORAGE}fsync_file", "before", 3),
    (f"{STORAGE}replace_file", "before", 1),
    (f"{STORAGE}replace_file", "after", 1),
    (f"{STORAGE}fsync_directory", "after", 2),
]
RESTORING = [
    (f"{STORAGE}_make", "after", 1),
    (f"{STORAGE}_copy", "before", 3),
    (f"{STORAGE}fsync_directory", "before", 1),
    (f"{STORAGE}fsync_directory", "after", 2),
]


def dies(directory: Path, what: str, target: str, when: str, nth: int) -> None:
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tests'}"}
    command = [sys.executable, str(CHILD), str(directory), what, target, when, str(nth)]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert child.returncode == EXIT, f"{child.stdout[-1000:]}{child.stderr[-4000:]}"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    client = open_client(tmp_path / "db", maintenance=False)
    client.create_collection("docs", vecstore.Dense(2)).upsert(range(300), [[n, 1] for n in range(300)])
    client.close()
    with Database.open(tmp_path / "db", Settings(storage=TINY)) as database:
        database.wait_operation(database.create_snapshot("good").id, 60)
    return tmp_path / "db"


def test_a_snapshot_is_whole_or_not_there(directory: Path) -> None:
    for step in TAKING:
        dies(directory, "take", *step)
        assert [path.name for path in (directory / "snapshots").glob("[!.]*")] == ["good"], step
    with Database.open(directory, Settings(storage=TINY)) as database:
        assert list((directory / "snapshots").glob(".*")) == []
        assert [info.name for info in database.list_snapshots()] == ["good"]
        assert database.wait_operation(database.create_snapshot("a").id, 60).error is None
        assert database.list_snapshots()[0].points == {"docs": 300}


def test_a_restored_database_is_whole_or_not_there(directory: Path) -> None:
    for step in RESTORING:
        dies(directory, "restore", *step)
        assert list((directory / "restored").glob("[!.]*")) == [], step
    with Database.open(directory, Settings(storage=TINY)) as database:
        assert list((directory / "restored").glob(".*")) == []
        assert database.wait_operation(database.restore_snapshot("good", "a").id, 60).error is None
    client = open_client(directory / "restored" / "a")
    assert client.collection("docs").count() == 300
    client.close()
