"""Tuning through a server: the queries arrive, the index is calibrated on them, and recall is asked for by name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore import IVF, Dense, OperationState, Settings
from vecstore.config import Server, Storage
from vecstore.engine.database import Database
from vecstore.engine.sealed import SealedSegment

pytest.importorskip("grpc", reason="needs the grpc extra")

K = 10


def clustered(rng: np.random.Generator, count: int) -> np.ndarray:
    centres = rng.standard_normal((60, 16))
    return (centres[rng.integers(0, 60, count)] + 0.5 * rng.standard_normal((count, 16))).astype(np.float32)


@pytest.fixture
def served() -> Iterator[tuple[Database, str]]:
    from vecstore.server.running import start_server

    database = Database.open(None, Settings(server=Server(port=0), storage=Storage(index_rows_min=1)))
    server = start_server(database)
    try:
        yield database, f"grpc://127.0.0.1:{server.port}"
    finally:
        server.stop(0)
        database.close()


def calibration_of(database: Database) -> Any:
    segments = [one.segment for one in database.collection("docs").view.segments]
    (segment,) = [one for one in segments if isinstance(one, SealedSegment)]
    index: Any = segment.index("default")
    return index.calibration


def test_tuning_through_a_server(served: tuple[Database, str]) -> None:
    database, target = served
    rng = np.random.default_rng(7)
    rows = clustered(rng, 4_000)
    foreign = rows[rng.permutation(4_000)[:300]] + rng.standard_normal((300, 16)).astype(np.float32) + 2
    with vecstore.connect(target) as db:
        docs = db.create_collection("docs", vectors=Dense(16, metric="l2", index=IVF(nlist=64)))
        docs.upload(ids=range(4_000), vectors=rows, progress=False)
        docs.compact()
        docs.update_index("default", IVF(nlist=64))
        before = calibration_of(database)
        operation = docs.tune(foreign[:200])
        assert (operation.kind, operation.state) == ("tune", OperationState.DONE)
        assert calibration_of(database) != before
        asked = foreign[200:]
        truth = np.argsort(((asked[:, None] - rows[None]) ** 2).sum(axis=2), axis=1)[:, :K]
        answers = docs.query_batch(asked, k=K, recall=0.95)
        found = [len(set(hits.ids.tolist()) & set(best.tolist())) for hits, best in zip(answers, truth, strict=True)]
        assert np.mean(found) / K > 0.9
        started = docs.tune(foreign[:200], wait=False)
        assert db.wait_operation(started.id, 60).state is OperationState.DONE


def test_tuning_through_an_async_client(served: tuple[Database, str]) -> None:
    database, target = served
    rows = clustered(np.random.default_rng(8), 4_000)

    async def tune() -> OperationState:
        async with await vecstore.connect_async(target) as db:
            docs = await db.create_collection("docs", vectors=Dense(16, metric="l2", index=IVF(nlist=64)))
            await docs.upload(ids=range(4_000), vectors=rows, progress=False)
            await docs.compact()
            await docs.update_index("default", IVF(nlist=64))
            before = calibration_of(database)
            operation = await docs.tune(rows[:100] + 1, using="default")
            assert calibration_of(database) != before
            return operation.state

    assert asyncio.run(tune()) is OperationState.DONE
