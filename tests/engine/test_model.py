"""The engine against a dictionary and numpy: any sequence of writes, seals, merges, index changes and restarts.

Vectors hold small integers, so every distance is exact and ties are common: answers must be equal, not close.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from vecstore.config import Settings, Storage
from vecstore.engine.database import Database
from vecstore.query.builder import F, has_id, has_vector
from vecstore.query.filter import Filter
from vecstore.schema import DataType, FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.types import (
    CountRequest,
    DeleteRequest,
    FieldIndexRequest,
    GetRequest,
    OperationState,
    PayloadOp,
    PayloadRequest,
    PointBatch,
    QueryRequest,
    ScrollRequest,
    Selection,
    UpsertRequest,
    VectorBatch,
    WriteMode,
)

MEMORY = "/dev/shm"
DIM = 8
SCHEMA = Schema(
    {
        "l2": VectorField(VectorKind.DENSE, DIM, Metric.L2),
        "dot": VectorField(VectorKind.DENSE, DIM, Metric.DOT, DataType.FLOAT16),
        "bits": VectorField(VectorKind.BINARY, 16, Metric.HAMMING),
    },
    {"n": FieldKind.INTEGER},
)
IDS = [*range(12), *(UUID(int=n << 60) for n in range(6)), *(f"id-{n}" for n in range(8))]
REACHED: Counter[str] = Counter()

ids = st.sampled_from(IDS)
payloads = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(0, 9) | st.none() | st.lists(st.integers(0, 9), max_size=2) | st.sampled_from(["4", 2.5]),
        "s": st.sampled_from(["red", "green", "blue", "red fox"]),
        "b": st.booleans(),
    },
)
vectors = st.lists(st.integers(-2, 2), min_size=DIM, max_size=DIM)
points = st.lists(st.tuples(ids, vectors, st.integers(0, 65_535), payloads, st.booleans()), min_size=1, max_size=12)


def key_of(point_id: Any) -> tuple[int, Any]:
    """The documented order: numbers, UUIDs, strings."""
    if isinstance(point_id, int):
        return 0, point_id
    return (1, point_id.bytes) if isinstance(point_id, UUID) else (2, point_id.encode())


def values(payload: dict[str, Any], key: str) -> list[Any]:
    value = payload.get(key)
    return value if isinstance(value, list) else [value]


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# A filter beside what it must mean, written apart from the engine's own matcher.
FILTERS: list[tuple[Filter | None, Any]] = [
    (None, lambda i, p, v: True),
    (F("n").eq(4), lambda i, p, v: any(is_number(x) and x == 4 for x in values(p, "n"))),
    (F("n").between(2, 6), lambda i, p, v: any(is_number(x) and 2 <= x <= 6 for x in values(p, "n"))),
    (F("s").eq("red"), lambda i, p, v: p.get("s") == "red"),
    (F("s").text("red"), lambda i, p, v: p.get("s") in ("red", "red fox")),
    (F("s").exists() & ~F("b").eq(True), lambda i, p, v: "s" in p and p.get("b") is not True),
    (F("n").is_null(), lambda i, p, v: "n" in p and (p["n"] is None)),
    (F("n").gte(5) | F("s").in_(["green", "blue"]),
     lambda i, p, v: any(is_number(x) and x >= 5 for x in values(p, "n")) or p.get("s") in ("green", "blue")),
    (has_id(1, "id-3", UUID(int=2 << 60)), lambda i, p, v: i in (1, "id-3", UUID(int=2 << 60))),
    (has_vector("bits"), lambda i, p, v: v),
]  # fmt: skip
filters = st.sampled_from(FILTERS)


def encoded(payload: dict[str, Any]) -> bytes | None:
    return msgspec.json.encode(payload) if payload else None


class EngineMachine(RuleBasedStateMachine):
    @initialize(batch=st.lists(points, min_size=0, max_size=3))
    def start(self, batch: list[Any]) -> None:
        # Thousands of fsyncs: a memory file system where there is one. What fsync promises is tested in tests/crash.
        self.directory = tempfile.mkdtemp(prefix="vecstore-model-", dir=MEMORY if os.path.isdir(MEMORY) else None)
        self.model: dict[Any, dict[str, Any]] = {}
        self.seq = 0
        self.fields = dict(SCHEMA.fields)
        storage = Storage(seal_rows=10, merge_factor=3, in_place_rows=1_000_000, disk_reserve_bytes=0)
        self.settings = Settings(storage=storage)
        self.db = Database.open(self.directory, self.settings)
        self.db.create_collection("c", SCHEMA)
        for one in batch:
            self.put(one, WriteMode.UPSERT)

    def teardown(self) -> None:
        self.db.close()
        shutil.rmtree(self.directory)

    def wrote(self, result: Any, changed: int, skipped: int = 0) -> None:
        assert (result.changed, result.skipped) == (changed, skipped)
        assert result.seq > self.seq
        self.seq = result.seq

    @rule(batch=points, mode=st.sampled_from(WriteMode))
    def upsert(self, batch: list[tuple[Any, ...]], mode: WriteMode) -> None:
        self.put(batch, mode)
        REACHED[f"upsert {mode.value}"] += 1

    def put(self, batch: list[tuple[Any, ...]], mode: WriteMode) -> None:
        names = [point_id for point_id, *_ in batch]
        dense = np.array([vector for _, vector, *_ in batch], dtype=np.float32)
        bits = np.array([[n >> 8, n & 255] for _, _, n, *_ in batch], dtype=np.uint8)
        present = np.array([has for *_, has in batch])
        bits[~present] = 0
        points = PointBatch(
            names,
            {"l2": VectorBatch(dense), "dot": VectorBatch(dense * 2), "bits": VectorBatch(bits, present)},
            [encoded(payload) for *_, payload, _ in batch],
        )
        result = self.db.write(UpsertRequest("c", points, mode))
        last = {point_id: place for place, point_id in enumerate(names)}
        exists = {WriteMode.INSERT_ONLY: False, WriteMode.UPDATE_ONLY: True}.get(mode)
        taken = [i for i in last if exists is None or (i in self.model) == exists]
        for point_id in taken:
            place = last[point_id]
            self.model[point_id] = {
                "l2": dense[place],
                "dot": dense[place] * 2,
                "bits": bits[place] if present[place] else None,
                "payload": json.loads(json.dumps(batch[place][3])),
            }
        self.wrote(result, len(taken), len(last) - len(taken))

    @rule(chosen=st.lists(ids, min_size=1, max_size=6))
    def delete_ids(self, chosen: list[Any]) -> None:
        there = {point_id for point_id in chosen if point_id in self.model}
        self.wrote(self.db.write(DeleteRequest("c", ids=chosen)), len(there))
        for point_id in there:
            del self.model[point_id]
        REACHED["delete ids"] += bool(there)

    @rule(where=filters)
    def delete_filter(self, where: tuple[Filter | None, Any]) -> None:
        if where[0] is None:
            return
        there = self.matching(where)
        self.wrote(self.db.write(DeleteRequest("c", filter=where[0])), len(there))
        for point_id in there:
            del self.model[point_id]
        REACHED["delete filter"] += bool(there)

    @rule(chosen=st.lists(ids, min_size=1, max_size=4), where=filters, op=st.sampled_from(PayloadOp), change=payloads)
    def change_payload(
        self, chosen: list[Any], where: tuple[Filter | None, Any], op: PayloadOp, change: dict[str, Any]
    ) -> None:
        by_filter = where[0] is not None
        wanted = list(dict.fromkeys(chosen))
        there = self.matching(where) if by_filter else [i for i in wanted if i in self.model]
        takes_payload = op in (PayloadOp.SET, PayloadOp.OVERWRITE)
        result = self.db.write(
            PayloadRequest(
                "c", op, None if by_filter else wanted, where[0],
                payload=msgspec.json.encode(change) if takes_payload else None,
                keys=("n", "s") if op is PayloadOp.DELETE_KEYS else (),
            )
        )  # fmt: skip
        self.wrote(result, len(there), 0 if by_filter else len(wanted) - len(there))
        for point_id in there:
            payload = self.model[point_id]["payload"]
            if op is PayloadOp.SET:
                payload = {**payload, **change}
            elif op is PayloadOp.OVERWRITE:
                payload = change
            elif op is PayloadOp.DELETE_KEYS:
                payload = {key: value for key, value in payload.items() if key not in ("n", "s")}
            else:
                payload = {}
            self.model[point_id]["payload"] = json.loads(json.dumps(payload))
        REACHED[f"payload {op.value}"] += bool(there)

    @rule(key=st.sampled_from(["n", "s", "b"]), kind=st.sampled_from(FieldKind))
    def index_field(self, key: str, kind: FieldKind) -> None:
        operation = self.db.create_field_index(FieldIndexRequest("c", key, kind))
        assert self.db.wait_operation(operation.id, 30).state is OperationState.DONE
        self.fields[key] = kind
        REACHED["index field"] += 1

    @rule(key=st.sampled_from(["n", "s", "b"]))
    def unindex_field(self, key: str) -> None:
        assert self.db.delete_field_index(FieldIndexRequest("c", key)) == (self.fields.pop(key, None) is not None)

    @rule()
    def compact(self) -> None:
        operation = self.db.compact("c")
        assert self.db.wait_operation(operation.id, 30).state is OperationState.DONE
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
    def query(self, query: list[int], where: tuple[Filter | None, Any], k: int, name: str) -> None:
        if name == "bits":
            vector = np.array([abs(query[0]) * 70, abs(query[1]) * 90], dtype=np.uint8)
        else:
            vector = np.array(query, dtype=np.float32)
        result = self.db.query(QueryRequest("c", vector, using=name, filter=where[0], k=k))
        expected = sorted(
            (self.distance(name, vector, self.model[i][name]), key_of(i), i)
            for i in self.matching(where)
            if self.model[i][name] is not None
        )[:k]
        assert [hit.id for hit in result] == [i for _, _, i in expected]
        scores = {"l2": np.sqrt, "dot": np.negative, "bits": np.asarray}[name]
        np.testing.assert_allclose([hit.score for hit in result], [scores(d) for d, _, _ in expected], rtol=1e-6)
        assert [hit.payload for hit in result] == [self.model[hit.id]["payload"] for hit in result]
        assert result.seq == self.seq
        REACHED[f"query {name}"] += bool(expected)

    @staticmethod
    def distance(name: str, query: np.ndarray, stored: np.ndarray) -> float:
        if name == "bits":
            return float(np.unpackbits(query ^ stored).sum())
        return float(((query - stored) ** 2).sum() if name == "l2" else -(query @ stored))

    @rule(where=filters, limit=st.integers(1, 9))
    def scroll(self, where: tuple[Filter | None, Any], limit: int) -> None:
        seen, after = [], None
        while True:
            page = self.db.scroll(ScrollRequest("c", where[0], limit, after, Selection(True, True)))
            seen += page.points
            after = page.next_after
            if after is None:
                break
            assert len(page.points) == limit
        assert [point.id for point in seen] == sorted(self.matching(where), key=key_of)
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
        assert set(point.vectors) == {name for name in SCHEMA.vectors if expected[name] is not None}
        for name, vector in point.vectors.items():
            np.testing.assert_array_equal(vector, expected[name])

    @rule(where=filters)
    def count(self, where: tuple[Filter | None, Any]) -> None:
        assert self.db.count(CountRequest("c", where[0])) == (len(self.matching(where)), self.seq)

    @rule(batch=points)
    def upsert_more(self, batch: list[tuple[Any, ...]]) -> None:
        self.put(batch, WriteMode.UPSERT)

    @invariant()
    def size(self) -> None:
        if hasattr(self, "db"):
            assert self.db.collection_info("c").points == len(self.model)

    def matching(self, where: tuple[Filter | None, Any]) -> list[Any]:
        return [i for i, p in self.model.items() if where[1](i, p["payload"], p["bits"] is not None)]


@pytest.mark.timeout(300)
def test_engine_equals_the_model() -> None:
    REACHED.clear()
    run_state_machine_as_test(
        EngineMachine,
        settings=settings(
            max_examples=200, stateful_step_count=40, deadline=None,
            suppress_health_check=list(HealthCheck), print_blob=True,
        ),
    )  # fmt: skip
    expected = [f"upsert {mode.value}" for mode in WriteMode] + [f"payload {op.value}" for op in PayloadOp]
    expected += ["delete ids", "delete filter", "index field", "compact", "restart"]
    expected += ["query l2", "query dot", "query bits"]
    assert [name for name in expected if REACHED[name] < 5] == [], f"hardly reached: {REACHED}"
