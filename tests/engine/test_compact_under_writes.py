"""A compaction has an end although writes go on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vecstore.config import Settings, Storage
from vecstore.engine import changes
from vecstore.engine.database import Database
from vecstore.engine.segment_work import SegmentWork
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.types import OperationState, PointBatch, UpsertRequest, VectorBatch

SETTINGS = Settings(storage=Storage(maintenance=False, seal_rows=1_000_000))


def put(database: Database, low: int, high: int) -> None:
    vectors = np.arange(low, high, dtype=np.float32).repeat(2).reshape(-1, 2)
    database.write(UpsertRequest("docs", PointBatch(list(range(low, high)), {"v": VectorBatch(vectors)})))


def test_what_is_written_meanwhile_is_left_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its merges is followed by a write over what it has just made, and by a segment that was sealed beside."""
    with Database.open(None, SETTINGS) as database:
        database.create_collection("docs", Schema({"v": VectorField(VectorKind.DENSE, 2, Metric.L2)}))
        real, merges = SegmentWork.merge, 0

        def merge(self: SegmentWork, collection: Any, victims: Any, operation: Any) -> Any:
            nonlocal merges
            merges += 1
            assert merges < 5, "it goes on as long as there are writes"
            made = real(self, collection, victims, operation)
            put(database, 10 * merges, 10 * merges + 5)
            self._committer.exclusive(lambda: changes.freeze(collection))
            self.seal(collection, operation)
            return made

        for low in (0, 100, 200):
            put(database, low, low + 100)
            assert database.wait_operation(database.compact("docs").id, 60).state is OperationState.DONE
            put(database, low + 50, low + 60)
        monkeypatch.setattr(SegmentWork, "merge", merge)
        done = database.wait_operation(database.compact("docs").id, 60)
        assert done.error is None
        assert merges >= 1
        assert len(database.stats("docs")["segments"]) == 1 + merges  # the one of all, and what was sealed beside
        assert database.stats("docs")["points"] == 300
