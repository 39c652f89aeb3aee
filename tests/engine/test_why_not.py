"""Why a point is not among the answers: each reason brought about, each rank and score compared with numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from vecstore.engine.database import Database
from vecstore.errors import InvalidArgument
from vecstore.formula import field
from vecstore.index.base import SearchParams
from vecstore.index_spec import IVF
from vecstore.query.builder import F
from vecstore.query.fusion import Fusion
from vecstore.ranking import Formula, OrderBy
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.sparse import SparseVector, sparse_rows
from vecstore.types import DeleteRequest, Mmr, PointBatch, Prefetch, QueryRequest, UpsertRequest, VectorBatch

N, DIM, RNG = 300, 4, np.random.default_rng(20261127)
VECTORS = RNG.normal(size=(N, DIM)).astype(np.float32)
TERMS = sparse_rows([SparseVector(np.array([i % 5, 9], np.uint32), np.array([1.0, i])) for i in range(N)])
QUERY = VECTORS[3] + 0.1
GAPS = np.linalg.norm(VECTORS - QUERY, axis=1).astype(np.float32)
ORDER = sorted(range(N), key=lambda i: (GAPS[i], i))


@pytest.fixture
def db(reopen: Callable[..., Database]) -> Database:
    db = reopen()
    fields = {"v": VectorField(VectorKind.DENSE, DIM, Metric.L2), "t": VectorField(VectorKind.SPARSE, 0, Metric.DOT)}
    db.create_collection("c", Schema(fields))
    for low, high in ((0, 200), (200, N)):
        payloads: list[bytes | None] = [msgspec.json.encode({"g": i % 3, "n": i}) for i in range(low, high)]
        vectors = {"v": VectorBatch(VECTORS[low:high]), "t": VectorBatch(TERMS[low:high])}
        db.write(UpsertRequest("c", PointBatch(list(range(low, high)), vectors, payloads)))
        if not low:
            db.wait_operation(db.compact("c").id, 60)
    db.write(UpsertRequest("c", PointBatch([900], {"t": VectorBatch(TERMS[:1])})))
    return db


def why(db: Database, point: Any, **given: Any) -> dict[str, Any]:
    query = {"vector": QUERY, "using": "v"} | given
    return db.why_not(QueryRequest("c", **query), point)[0]


def test_ranks_and_scores_are_the_true_ones(db: Database) -> None:
    for rank in (1, 10, 11, 150, 300):
        report = why(db, ORDER[rank - 1])
        assert (report["verdict"], report["rank"]) == ("answer" if rank <= 10 else "rank", rank)
        assert report["score"] == pytest.approx(float(GAPS[ORDER[rank - 1]]), rel=1e-5)
    assert why(db, ORDER[2], offset=3)["verdict"] == "offset"
    assert why(db, ORDER[3], offset=3)["verdict"] == "answer"
    report = why(db, ORDER[5], score_threshold=float(GAPS[ORDER[4]]))
    assert (report["verdict"], report["rank"]) == ("threshold", 6)


def test_what_is_not_there(db: Database) -> None:
    assert why(db, 5_000) == {"verdict": "absent"}
    db.write(DeleteRequest("c", [7]))
    assert why(db, 7) == {"verdict": "deleted"}
    assert why(db, 900)["verdict"] == "no_vector"
    one = sparse_rows([SparseVector(np.array([2], np.uint32), np.array([1.0]))])
    assert why(db, 3, vector=one, using="t")["verdict"] == "no_match"


def test_the_conditions_are_named(db: Database) -> None:
    where = F("g").eq(1) & F("n").gte(5) & ~F("n").eq(3) & (F("g").eq(2) | F("n").gt(100))
    report = why(db, 3, filter=where)
    assert report["verdict"] == "filtered"
    shown = repr(report["conditions"])
    assert len(report["conditions"]) == 4
    assert all(part in shown for part in ("must_not", "should", "'value': 1", "'gte': 5"))
    assert why(db, 4, filter=F("g").eq(1) & F("n").gte(5))["conditions"] == [
        {"must": [{"key": "n", "range": {"gte": 5}}]}
    ]
    assert "conditions" not in why(db, ORDER[200], filter=F("g").eq(ORDER[200] % 3))


def test_the_stage_that_cut_it_is_named(db: Database) -> None:
    legs = [Prefetch(QUERY, "v", k=20), Prefetch(QUERY, "v", filter=F("g").eq(0), k=20)]
    staged: dict[str, Any] = {"vector": None, "using": None, "prefetch": legs, "fusion": Fusion(), "k": 3}
    report = why(db, ORDER[100], **staged)
    assert report["verdict"] == "prefetch"
    assert [one["verdict"] for one in report["prefetch"]] == ["rank", "rank" if ORDER[100] % 3 == 0 else "filtered"]
    assert report["prefetch"][0]["rank"] == 101
    whole = db.query(QueryRequest("c", prefetch=legs, fusion=Fusion(), k=100))
    report = why(db, whole[8].id, **staged)
    assert (report["verdict"], report["rank"]) == ("rank", 9)
    assert report["score"] == pytest.approx(whole[8].score)
    assert why(db, whole[2].id, **staged)["verdict"] == "answer"
    below = why(db, 3, **(staged | {"filter": F("g").eq(1)}))
    assert below["prefetch"][0]["conditions"] == [{"must": [{"key": "g", "match": {"value": 1}}]}]


def test_other_ways_to_rank(db: Database) -> None:
    def order(ranking: Any, point: int, **given: Any) -> dict[str, Any]:
        return why(db, point, vector=None, using=None, ranking=ranking, **given)

    assert (order(OrderBy("n"), 40)["verdict"], order(OrderBy("n"), 40)["rank"]) == ("rank", 41)
    assert order(OrderBy("nothing"), 40)["verdict"] == "no_match"
    undefined = Formula(1 / (field("n") - ORDER[0]))
    report = order(undefined, ORDER[0], prefetch=[Prefetch(QUERY, "v", k=20)])
    assert (report["verdict"], report["prefetch"][0]["verdict"]) == ("no_match", "answer")
    spread = db.query(QueryRequest("c", QUERY, "v", k=5, mmr=Mmr(0.9, 50)))
    left = next(i for i in ORDER[:50] if i not in spread.ids.tolist())
    assert why(db, left, k=5, mmr=Mmr(0.9, 50))["verdict"] == "diversity"
    assert why(db, spread[3].id, k=5, mmr=Mmr(0.9, 50)) | {"rank": 4} == why(db, spread[3].id, k=5, mmr=Mmr(0.9, 50))


def test_what_an_index_misses_is_said(reopen: Callable[..., Database]) -> None:
    db = reopen()
    db.create_collection("i", Schema({"v": VectorField(VectorKind.DENSE, 16, Metric.L2, index=IVF(nlist=64))}))
    rows = RNG.normal(size=(12_000, 16)).astype(np.float32)
    for low in (0, 6_000):
        batch = PointBatch(list(range(low, low + 6_000)), {"v": VectorBatch(rows[low : low + 6_000])})
        db.write(UpsertRequest("i", batch))
    db.wait_operation(db.compact("i").id, 60)
    request = QueryRequest("i", rows[1] * 0.5, k=50, params=SearchParams(nprobe=1))
    found = set(db.query(request).ids.tolist())
    true = db.query(QueryRequest("i", rows[1] * 0.5, k=50, params=SearchParams(exact=True))).ids.tolist()
    missed = [i for i in true if i not in found]
    assert missed
    report, _ = db.why_not(request, missed[0])
    assert (report["verdict"], report["rank"]) == ("index", true.index(missed[0]) + 1)


def test_what_is_wrong_is_named(db: Database) -> None:
    with pytest.raises(InvalidArgument, match="id=-1"):
        why(db, -1)
    with pytest.raises(InvalidArgument, match="dim=2"):
        why(db, 1, vector=QUERY[:2])
