"""Plans of queries against what the queries then do, and that a plan reads no vectors and no payloads."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from unittest import mock

import msgspec
import numpy as np
import pytest
from engine_support import settle
from index_support import INDEXED

from vecstore.engine import scan, search
from vecstore.engine.database import Database
from vecstore.engine.segment import SegmentView
from vecstore.errors import InvalidArgument
from vecstore.index import costs
from vecstore.index_spec import IVF, Flat, Graph, Int8, Inverted
from vecstore.query.builder import F
from vecstore.query.fusion import Fusion
from vecstore.ranking import OrderBy
from vecstore.schema import FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.sparse import SparseRows
from vecstore.types import (
    DeleteRequest,
    Mmr,
    PointBatch,
    Prefetch,
    QueryRequest,
    SearchParams,
    UpsertRequest,
    VectorBatch,
)

N, DIM = 2_400, 24
RNG = np.random.default_rng(20261130)
ROWS = RNG.standard_normal((N, DIM)).astype(np.float32)
INDICES = np.sort(np.argsort(RNG.random((N, 60)), axis=1)[:, :6]).astype(np.uint32)
PAYLOADS = [msgspec.json.encode({"n": i, "free": i % 7}) for i in range(N)]


@pytest.fixture(scope="module")
def db() -> Any:
    fields = {
        "graph": VectorField(VectorKind.DENSE, DIM, Metric.L2, index=Graph()),
        "lists": VectorField(VectorKind.DENSE, DIM, Metric.COSINE, index=IVF(32, Int8())),
        "exact": VectorField(VectorKind.DENSE, DIM, Metric.DOT, index=Flat()),
        "words": VectorField(VectorKind.SPARSE, 0, Metric.DOT, index=Inverted()),
    }
    # Rows so dear that few of them are reason enough for an index.
    dear = mock.patch.multiple(costs, EXACT_BYTE=1.0), mock.patch.multiple(scan, FEW_ROWS=50)
    settings = msgspec.structs.replace(INDEXED, storage=msgspec.structs.replace(INDEXED.storage, seal_rows=10_000))
    with dear[0], dear[1], Database.open(None, settings) as db:
        db.create_collection("c", Schema(fields, {"n": FieldKind.INTEGER}))
        put(db, 0, N - 300)
        settle(db, db.compact("c"))
        put(db, N - 300, N)
        db.write(DeleteRequest("c", list(range(0, 200, 3))))
        yield db


def put(db: Database, low: int, high: int) -> None:
    rows = {name: VectorBatch(ROWS[low:high]) for name in ("graph", "lists", "exact")}
    indices = INDICES[low:high]
    offsets = np.arange(len(indices) + 1, dtype=np.int64) * indices.shape[1]
    words = SparseRows(offsets, indices.ravel(), np.ones(indices.size, np.float32))
    batch = PointBatch(list(range(low, high)), {**rows, "words": VectorBatch(words)}, PAYLOADS[low:high])
    db.write(UpsertRequest("c", batch))


def query_of(name: str, at: int, **how: Any) -> QueryRequest:
    vector: Any = ROWS[at] + np.float32(0.1)
    if name == "words":
        vector = SparseRows(np.array([0, 6]), INDICES[at], np.ones(6, np.float32))
    return QueryRequest("c", vector, name, **how)


def test_a_plan_says_what_the_query_then_does(db: Database) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    seen = set()
    for _ in range(160):
        name = rng.choice(["graph", "lists", "exact", "words"])
        high = int(N * 10 ** rng.uniform(-3, 0.1))
        where = rng.choice([None, F("n").lt(high), (F("n").lt(high)) & (F("n").gte(high // 2))])
        params: Any = rng.choice([{}, {"recall_target": 0.9}, {"exact": True}, {"ef": 50}])
        request = query_of(
            name, rng.randrange(N), k=rng.choice([1, 10, 50]), filter=where, params=SearchParams(**params)
        )
        found = db.explain(request, analyze=True)
        planned, measured = found["plan"]["segments"], found["measured"]["segments"]
        assert len(planned) == len(measured) == 2
        for plan, did in zip(planned, measured, strict=True):
            assert plan["strategy"] == did["strategy"], (seed, request, plan, did)
            assert plan["matches"] == dict.fromkeys(("least", "most", "expected"), did["allowed"]), (seed, request)
            unfamiliar = "queries_unfamiliar" in did["counters"]  # which only the search finds out
            if not unfamiliar and (did["est_recall"] is not None or plan["est_recall"] is not None):
                assert plan["est_recall"] == did["est_recall"], (seed, plan, did)
            if did["estimated_us"] is not None:
                assert plan["estimated_us"] == did["estimated_us"], (seed, plan, did)
                costs = [way["estimated_us"] for way in plan["alternatives"]]
                assert plan["estimated_us"] <= min(costs), "the cheapest is taken"
            seen.add(plan["strategy"])
    assert seen >= {"exact_scan", "graph", "inverted", "none"}, seen
    assert seen & {"graph_filtered", "graph_scan"}, seen
    assert seen & {"ivf", "ivf_filtered"}, seen


def test_a_plan_reads_no_vector_and_no_payload(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("a plan read something")

    monkeypatch.setattr(search, "search_segment", fail)
    monkeypatch.setattr(SegmentView, "payloads", fail)
    found = db.explain(query_of("graph", 5, filter=(F("free").eq(3)) & (F("n").lt(1_000))))
    (sealed, growing) = found["plan"]["segments"]
    alive = 1_000 - len(range(0, 200, 3))
    assert sealed["matches"] == {"least": 0, "most": alive, "expected": alive // 2 + alive % 2}
    assert sealed["payloads_to_read"] == alive
    assert growing["matches"]["most"] == 0
    assert growing["strategy"] == "none"
    with pytest.raises(AssertionError, match="read something"):
        db.explain(query_of("graph", 5), analyze=True)


def test_stages_are_planned_from_below(db: Database) -> None:
    legs = [Prefetch(ROWS[3], "graph", k=20), Prefetch(ROWS[3], "lists", k=30, filter=F("n").lt(500))]
    found = db.explain(QueryRequest("c", prefetch=legs, fusion=Fusion(), k=5, filter=F("n").gte(100)), analyze=True)
    plan, measured = found["plan"], found["measured"]
    assert (plan["stage"], plan["candidates"], plan["limit"]) == ("rrf", 50, 5)
    for below, did in zip(plan["prefetch"], measured["prefetch"], strict=True):
        assert below["stage"] == did["stage"]
        assert [one["strategy"] for one in below["segments"]] == [one["strategy"] for one in did["segments"]]
        assert [one["matches"]["expected"] for one in below["segments"]] == [one["allowed"] for one in did["segments"]]
    rescored = db.explain(QueryRequest("c", ROWS[3], "exact", prefetch=legs[:1], k=5))["plan"]
    assert (rescored["stage"], rescored["candidates"]) == ("rescore", 20)
    assert rescored["estimated_us"] > 0
    ordered = db.explain(QueryRequest("c", ranking=OrderBy("n"), k=5, filter=F("n").lt(150)))["plan"]
    assert ordered["stage"] == "orderby"
    assert sum(one["matches"]["expected"] for one in ordered["segments"]) == 150 - 50
    spread = db.explain(query_of("exact", 3, mmr=Mmr(), k=5))["plan"]
    assert (spread["stage"], spread["prefetch"][0]["using"]) == ("mmr", "exact")


def test_what_a_query_refuses_its_plan_refuses(db: Database, reopen: Callable[..., Database]) -> None:
    with pytest.raises(InvalidArgument, match="DIMENSION_MISMATCH"):
        db.explain(QueryRequest("c", ROWS[0][:3], "graph"))
    with pytest.raises(InvalidArgument, match="ef=-1"):
        db.explain(query_of("graph", 1, params=SearchParams(ef=-1)))
    empty = reopen()
    empty.create_collection("e", Schema({"v": VectorField(VectorKind.DENSE, 4, Metric.L2)}))
    assert empty.explain(QueryRequest("e", np.ones(4, np.float32)))["plan"]["segments"] == []
