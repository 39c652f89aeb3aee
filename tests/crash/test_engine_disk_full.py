"""A full disk is a state of the whole engine: typed errors, reads and deletes go on, writes resume with room."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faults.children import REPOSITORY
from faults.disks import tmpfs

import vecstore
from vecstore.config import Settings, Storage
from vecstore.engine.database import Database
from vecstore.errors import ResourceExhausted
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.types import CountRequest, DeleteRequest, PointBatch, UpsertRequest, VectorBatch

CHILD = Path(__file__).with_name("disk_child.py")


def run_child(scenario: str, directory: Path, ledgers: Path) -> None:
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    environment = os.environ | {
        "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tests'}",
        "LEDGERS": str(ledgers),
    }
    command = [sys.executable, str(CHILD), scenario, str(directory), str(seed)]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert child.returncode == 0, f"the child ended with {child.returncode}\n{child.stderr[-4000:]}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "small") as mount:
        yield mount


def test_a_file_size_limit_refuses_writes_until_it_is_lifted(tmp_path: Path) -> None:
    run_child("file size limit", tmp_path, tmp_path)


@pytest.mark.parametrize("scenario", ["reserve", "sealing"])
def test_a_full_file_system(tmp_path: Path, small_disk: Path, scenario: str) -> None:
    run_child(scenario, small_disk, tmp_path)


def test_deletes_are_not_refused_for_the_upserts_they_share_a_group_with(tmp_path: Path) -> None:
    schema = Schema({"v": VectorField(VectorKind.DENSE, 2, Metric.L2)})
    rows = np.ones((100, 2), dtype=np.float32)
    with Database.open(tmp_path / "db", Settings(storage=Storage(disk_reserve_bytes=0))) as database:
        database.create_collection("c", schema)
        database.write(UpsertRequest("c", PointBatch(list(range(100)), {"v": VectorBatch(rows)})))
    with Database.open(tmp_path / "db", Settings(storage=Storage(disk_reserve_bytes=1 << 60))) as database:
        upserts, deletes = [], []
        for number in range(50):
            batch = PointBatch([1000 + number], {"v": VectorBatch(rows[:1])})
            upserts.append(database.submit(UpsertRequest("c", batch)))
            deletes.append(database.submit(DeleteRequest("c", [number])))
        assert [future.result().changed for future in deletes] == [1] * 50
        for future in upserts:
            with pytest.raises(ResourceExhausted) as caught:
                future.result()
            assert caught.value.reason == "DISK_FULL"
        assert database.count(CountRequest("c"))[0] == 50
    with vecstore.connect(tmp_path / "db") as client:
        assert [point.id for point in client.collection("c").scroll()] == list(range(50, 100))
