"""The engine against a dictionary and numpy: any sequence of writes, seals, merges, index changes and restarts.

Vectors hold small integers, so every distance is exact and ties are common: answers must be equal, not close.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from model_runs import follow
from model_writes import (
    FILTERS,
    SCHEMA,
    WRITES,
    Model,
    Where,
    Write,
    delete,
    filters,
    ids,
    matching,
    points,
    upsert,
    vectors,
    writes,
)

from vecstore.config import Limits, Settings, Storage
from vecstore.engine import exact_cache
from vecstore.engine.database import Database
from vecstore.errors import FailedPrecondition, InvalidArgument
from vecstore.index import flat
from vecstore.kernels.select import get_kernels
from vecstore.schema import FieldKind, Metric
from vecstore.types import (
    CountRequest,
    DeleteRequest,
    FieldIndexRequest,
    GetRequest,
    OperationState,
    QueryRequest,
    ScrollRequest,
    Selection,
    UpdateBatchRequest,
    WriteMode,
)

MEMORY = "/dev/shm"
REACHED: Counter[str] = Counter()
KEYS_MAX = 2  # idempotency keys that are remembered


def key_of(point_id: Any) -> tuple[int, Any]:
    """The documented order: numbers, UUIDs, strings."""
    if isinstance(point_id, int):
        return 0, point_id
    return (1, point_id.bytes) if isinstance(point_id, UUID) else (2, point_id.encode())


class EngineMachine(RuleBasedStateMachine):
    @initialize(batch=st.lists(points, min_size=0, max_size=3))
    def start(self, batch: list[Any]) -> None:
        # Thousands of fsyncs: a memory file system where there is one. What fsync promises is tested in tests/crash.
        self.directory = tempfile.mkdtemp(prefix="vecstore-model-", dir=MEMORY if os.path.isdir(MEMORY) else None)
        self.model: Model = {}
        self.seq = 0
        self.keys: dict[str | None, tuple[Any, Any]] = {}
        self.fields = dict(SCHEMA.fields)
        storage = Storage(seal_rows=10, merge_factor=3, in_place_rows=1_000_000, disk_reserve_bytes=0)
        self.settings = Settings(storage=storage, limits=Limits(idempotency_keys_max=KEYS_MAX))
        self.db = Database.open(self.directory, self.settings)
        self.db.create_collection("c", SCHEMA)
        for one in batch:
            self.write(upsert(one, WriteMode.UPSERT))

    def teardown(self) -> None:
        self.db.close()
        shutil.rmtree(self.directory)

    @rule(one=writes, key=st.none() | st.sampled_from(["k1", "k2", "k3", "k4"]))
    def write(self, one: Write, key: str | None = None) -> None:
        step = one.change(self.model)
        step.request.idempotency_key = key
        if self.answered_again(step.request, key):
            return
        if step.refused:
            with pytest.raises(FailedPrecondition, match="VERSION_MISMATCH"):
                self.db.write(step.request)
            return
        result = self.db.write(step.request)
        assert (result.changed, result.skipped) == (step.changed, step.skipped)
        self.wrote(result, step.after, step.request, key)
        REACHED[one.name] += bool(step.changed)

    def answered_again(self, request: Any, key: str | None) -> bool:
        """The model remembers two keys: a third pushes the oldest out."""
        if key not in self.keys:
            return False
        first, answer = self.keys[key]
        assert self.db.write(first) == answer
        if type(first) is not type(request):
            with pytest.raises(InvalidArgument, match="IDEMPOTENCY_KEY_REUSED"):
                self.db.write(request)
        REACHED["again"] += 1
        return True

    @rule(one=writes)
    def write_more(self, one: Write) -> None:
        self.write(one)

    @rule(where=st.sampled_from(FILTERS[1:]))
    def delete_matching(self, where: Where) -> None:
        self.write(delete([], where))

    @rule(several=st.lists(writes, min_size=1, max_size=5), key=st.none() | st.sampled_from(["k1", "k2", "k3", "k4"]))
    def write_batch(self, several: list[Write], key: str | None = None) -> None:
        after, steps = self.model, []
        for one in several:
            steps.append(one.change(after))
            after = self.numbered(after, steps[-1].after)
        request = UpdateBatchRequest("c", [step.request for step in steps], idempotency_key=key)
        if self.answered_again(request, key):
            return
        refused = next((place for place, step in enumerate(steps) if step.refused), None)
        if refused is not None:
            with pytest.raises(FailedPrecondition, match=rf"VERSION_MISMATCH: operations\[{refused}\]"):
                self.db.write(request)
            return
        result = self.db.write(request)
        assert [(one.changed, one.skipped) for one in result.operations] == [(s.changed, s.skipped) for s in steps]
        assert all(one.seq == result.seq for one in result.operations)
        assert result.changed == sum(step.changed for step in steps)
        assert result.skipped == sum(step.skipped for step in steps)
        self.wrote(result, after, request, key)
        REACHED["batch"] += len(several) > 1
        REACHED.update(one.name for one, step in zip(several, steps, strict=True) if step.changed)

    @rule(several=st.lists(writes, min_size=1, max_size=3))
    def refused_batch(self, several: list[Write]) -> None:
        requests = [one.change(self.model).request for one in several]
        with pytest.raises(InvalidArgument, match=rf"operations\[{len(several)}\]"):
            self.db.write(UpdateBatchRequest("c", [*requests, DeleteRequest("c", ids=[])]))
        assert self.db.collection_info("c").seq == self.seq

    def wrote(self, result: Any, after: Model, request: Any, key: str | None) -> None:
        assert result.seq == self.seq + 1
        self.model = self.numbered(self.model, after)
        self.seq = result.seq
        if key is not None:
            self.keys[key] = request, result
            while len(self.keys) > KEYS_MAX:
                del self.keys[next(iter(self.keys))]

    def numbered(self, before: Model, after: Model) -> Model:
        """With the next seq on the points that are new or other ones."""
        return {i: p if before.get(i) is p else {**p, "seq": self.seq + 1} for i, p in after.items()}

    @rule(key=st.sampled_from(["n", "s", "b"]), kind=st.sampled_from(FieldKind))
    def index_field(self, key: str, kind: FieldKind) -> None:
        operation = self.db.create_field_index(FieldIndexRequest("c", key, kind))
        assert self.db.wait_operation(operation.id, 60).state is OperationState.DONE
        self.fields[key] = kind
        REACHED["index field"] += 1

    @rule(key=st.sampled_from(["n", "s", "b"]))
    def unindex_field(self, key: str) -> None:
        assert self.db.delete_field_index(FieldIndexRequest("c", key)) == (self.fields.pop(key, None) is not None)

    @rule()
    def compact(self) -> None:
        operation = self.db.compact("c")
        assert self.db.wait_operation(operation.id, 60).state is OperationState.DONE
        stats = self.db.stats("c")
        assert stats["deleted"] == 0
        assert stats["rows"] == len(self.model)
        REACHED["compact"] += 1

    @rule()
    def restart(self) -> None:
        self.db.close()
        self.db = Database.open(self.directory, self.settings)
        assert self.db.collection_info("c").seq == self.seq
        assert self.db.collection_info("c").schema.fields == self.fields
        REACHED["restart"] += 1

    @rule(query=vectors, where=filters, k=st.integers(1, 30), name=st.sampled_from(["l2", "dot", "bits"]))
    def query(self, query: list[int], where: Where, k: int, name: str) -> None:
        if name == "bits":
            vector = np.array([abs(query[0]) * 70, abs(query[1]) * 90], dtype=np.uint8)
        else:
            vector = np.array(query, dtype=np.float32)
        result = self.db.query(QueryRequest("c", vector, using=name, filter=where[0], k=k))
        expected = sorted(
            (self.distance(name, vector, self.model[i][name]), key_of(i), i)
            for i in matching(self.model, where)
            if self.model[i][name] is not None
        )[:k]
        assert [hit.id for hit in result] == [i for _, _, i in expected]
        scores = {"l2": np.sqrt, "dot": np.negative, "bits": np.asarray}[name]
        np.testing.assert_allclose([hit.score for hit in result], [scores(d) for d, _, _ in expected], rtol=1e-6)
        assert [hit.payload for hit in result] == [self.model[hit.id]["payload"] for hit in result]
        assert result.seq == self.seq
        REACHED[f"query {name}"] += bool(expected)
        REACHED["bytes"] += self.db.memory()["exact_cache"][0] > 0

    @staticmethod
    def distance(name: str, query: np.ndarray, stored: np.ndarray) -> float:
        if name == "bits":
            return float(np.unpackbits(query ^ stored).sum())
        return float(((query - stored) ** 2).sum() if name == "l2" else -(query @ stored))

    @rule(where=filters, limit=st.integers(1, 9))
    def scroll(self, where: Where, limit: int) -> None:
        seen, after = [], None
        while True:
            page = self.db.scroll(ScrollRequest("c", where[0], limit, after, Selection(True, True)))
            seen += page.points
            after = page.next_after
            if after is None:
                break
            assert len(page.points) == limit
        assert [point.id for point in seen] == sorted(matching(self.model, where), key=key_of)
        for point in seen:
            self.same(point)

    @rule(chosen=st.lists(ids, min_size=1, max_size=8, unique=True))
    def get(self, chosen: list[Any]) -> None:
        found, seq = self.db.get(GetRequest("c", chosen, Selection(True, True)))
        assert seq == self.seq
        assert [point.id for point in found] == [i for i in chosen if i in self.model]
        for point in found:
            self.same(point)

    def same(self, point: Any) -> None:
        expected = self.model[point.id]
        assert point.payload == expected["payload"]
        assert point.seq == expected["seq"]
        assert set(point.vectors) == {name for name in SCHEMA.vectors if expected[name] is not None}
        for name, vector in point.vectors.items():
            np.testing.assert_array_equal(vector, expected[name])

    @rule(where=filters)
    def count(self, where: Where) -> None:
        assert self.db.count(CountRequest("c", where[0])) == (len(matching(self.model, where)), self.seq)

    @rule(batch=points)
    def upsert_more(self, batch: list[tuple[Any, ...]]) -> None:
        self.write(upsert(batch, WriteMode.UPSERT))

    @invariant()
    def size(self) -> None:
        if hasattr(self, "db"):
            assert self.db.collection_info("c").points == len(self.model)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_engine_equals_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    # So that exact searches of these few rows read bytes, too.
    for name, value in (("ROWS_MIN", 1), ("DIM_MIN", 1), ("K_SHARE", 0)):
        monkeypatch.setattr(flat, name, value)
    for name, value in (("GROWN_MIN", 1), ("SCANS", 1), ("AGAIN", 1)):
        monkeypatch.setattr(exact_cache, name, value)
    expected = [*WRITES, "batch", "again", "index field", "compact", "restart"]
    expected += ["query l2", "query dot", "query bits"]
    rounded = get_kernels().round_rows(Metric.DOT, np.ones((1, 8), np.float32), None)
    expected += [] if rounded is None else ["bytes"]
    follow(EngineMachine, 30, 40, REACHED, expected)
