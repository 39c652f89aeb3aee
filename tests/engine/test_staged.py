"""Queries of several stages against numpy: fusion of legs, exact scoring of what was prefetched, filters, bounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_support import IN_PLACE
from waiting import wait_until

from vecstore.engine.database import Database
from vecstore.errors import InvalidArgument
from vecstore.query.builder import F
from vecstore.query.fusion import Fusion, FusionMethod
from vecstore.schema import FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.sparse import SparseVector, sparse_rows
from vecstore.tokens import TokenRows
from vecstore.types import Mmr, PointBatch, Prefetch, QueryRequest, UpsertRequest, VectorBatch

N, DIM, RNG = 400, 8, np.random.default_rng(11)
DENSE = RNG.integers(-3, 4, size=(N, DIM)).astype(np.float32)
SPARSE = [{int(i): int(RNG.integers(1, 4)) for i in RNG.choice(30, 6, replace=False)} for _ in range(N)]
TOKENS = [RNG.integers(-2, 3, size=(int(RNG.integers(1, 5)), 4)).astype(np.float32) for _ in range(N)]
GROUP = RNG.integers(0, 3, N)
SCHEMA = Schema(
    {
        "dense": VectorField(VectorKind.DENSE, DIM, Metric.L2),
        "terms": VectorField(VectorKind.SPARSE, 0, Metric.DOT),
        "tokens": VectorField(VectorKind.MULTI, 4, Metric.MAXSIM),
    },
    {"g": FieldKind.INTEGER},
)


def terms(weights: dict[int, int]) -> Any:
    return sparse_rows([SparseVector(np.array(list(weights), np.uint32), np.array(list(weights.values())))])


def fill(db: Database, name: str, cuts: list[int]) -> None:
    """Rows from cut to cut are written at once, the first of them sealed."""
    db.create_collection(name, SCHEMA)
    for low, high in pairwise(cuts):
        write(db, name, slice(low, high))
        if not low:
            db.wait_operation(db.compact(name).id, 60)


def write(db: Database, name: str, part: slice) -> None:
    rows = [SparseVector(np.array(list(one), np.uint32), np.array(list(one.values()))) for one in SPARSE[part]]
    vectors = {
        "dense": VectorBatch(DENSE[part]),
        "terms": VectorBatch(sparse_rows(rows)),
        "tokens": VectorBatch(TokenRows.of(TOKENS[part], 4, np.float32)),
    }
    payloads: list[bytes | None] = [msgspec.json.encode({"g": int(g)}) for g in GROUP[part]]
    db.write(UpsertRequest(name, PointBatch(list(range(part.start, part.stop)), vectors, payloads)))


def sealed(db: Database, name: str) -> int:
    """How many segments a collection has whose rows are all sealed; 0 while some wait."""
    segments = db.stats(name)["segments"]
    return len(segments) if all(one["kind"] == "sealed" for one in segments) else 0


@pytest.fixture
def db(reopen: Callable[..., Database]) -> Database:
    """Two segments, one of them growing."""
    db = reopen(IN_PLACE)
    fill(db, "c", [0, 250, N])
    return db


def ranked(scores: dict[int, float], k: int) -> list[int]:
    return sorted(scores, key=lambda i: (-scores[i], i))[:k]


def dense_scores(query: np.ndarray) -> dict[int, float]:
    return {i: -float(np.sqrt(np.float32(((DENSE[i] - query) ** 2).sum()))) for i in range(N)}


def sparse_scores(query: dict[int, int]) -> dict[int, float]:
    shared = {i: query.keys() & row.keys() for i, row in enumerate(SPARSE)}
    return {i: float(sum(query[t] * SPARSE[i][t] for t in both)) for i, both in shared.items() if both}


def fused(lists: list[list[int]], k: int) -> dict[int, float]:
    total: dict[int, float] = {}
    for one in lists:
        for rank, i in enumerate(one, 1):
            total[i] = total.get(i, 0.0) + 1 / (k + rank)
    return total


@pytest.mark.parametrize("group", [None, 1])
def test_two_legs_are_fused_by_rank(db: Database, group: int | None) -> None:
    query, weights = DENSE[3] + 0.25, SPARSE[300]
    where = None if group is None else F("g").eq(group)
    allowed = {i for i in range(N) if group is None or GROUP[i] == group}
    lists = [
        ranked({i: s for i, s in scores.items() if i in allowed}, 40)
        for scores in (dense_scores(query), sparse_scores(weights))
    ]
    legs = [Prefetch(query, "dense", k=40), Prefetch(terms(weights), "terms", k=40)]
    hits = db.query(QueryRequest("c", prefetch=legs, fusion=Fusion(k=5), filter=where, k=12, explain=True))
    expected = fused(lists, 5)
    assert [hit.id for hit in hits] == ranked({i: float(np.float32(s)) for i, s in expected.items()}, 12)
    np.testing.assert_allclose(hits.scores, sorted(expected.values(), reverse=True)[:12], rtol=1e-6)
    for hit in hits:
        assert hit.legs is not None
        assert set(hit.legs) == {leg for leg, one in enumerate(lists) if hit.id in one}
        if 0 in hit.legs:
            assert hit.legs[0] == pytest.approx(-dense_scores(query)[hit.id])
        if 1 in hit.legs:
            assert hit.legs[1] == pytest.approx(sparse_scores(weights)[hit.id])
    assert hits.explain is not None
    assert [leg["stage"] for leg in hits.explain["prefetch"]] == ["dense", "terms"]


def test_a_vector_scores_what_was_prefetched(db: Database) -> None:
    query, weights, tokens = DENSE[9] + 0.25, SPARSE[20], TOKENS[7]
    lists = [ranked(dense_scores(query), 30), ranked(sparse_scores(weights), 30)]
    best = ranked({i: float(np.float32(s)) for i, s in fused(lists, 60).items()}, 25)
    maxsim = {i: float((tokens @ TOKENS[i].T).max(axis=1).sum()) for i in best}
    legs = [Prefetch(query, "dense", k=30), Prefetch(terms(weights), "terms", k=30)]
    inner = Prefetch(prefetch=legs, fusion=Fusion(), k=25)
    given = TokenRows.of([tokens], 4, np.float32)
    hits = db.query(QueryRequest("c", given, "tokens", prefetch=[inner], k=10, offset=2))
    assert [hit.id for hit in hits] == ranked(maxsim, 12)[2:]
    assert [hit.score for hit in hits] == [maxsim[hit.id] for hit in hits]
    assert hits.legs is None
    union = db.query(QueryRequest("c", given, "tokens", prefetch=legs, k=100, score_threshold=6.0))
    wanted = {i for one in lists for i in one}
    scores = {i: float((tokens @ TOKENS[i].T).max(axis=1).sum()) for i in wanted}
    assert [hit.id for hit in union] == ranked({i: s for i, s in scores.items() if s >= 6.0}, 100)


def test_a_tree_over_four_segments_is_that_over_one(reopen: Callable[..., Database]) -> None:
    """Lists are merged over segments before they are fused: segments are the shards of one machine."""
    storage = msgspec.structs.replace(IN_PLACE.storage, seal_rows=100, merge_factor=99)
    db = reopen(msgspec.structs.replace(IN_PLACE, storage=storage))
    fill(db, "one", [0, N])
    db.create_collection("four", SCHEMA)
    for number in range(4):
        write(db, "four", slice(100 * number, 100 * number + 100))
        wait_until(lambda many=number + 1: sealed(db, "four") == many)  # type: ignore[misc]
    assert sealed(db, "one") == 1
    query, weights = DENSE[3] + 0.25, terms(SPARSE[300])
    given = TokenRows.of([TOKENS[7]], 4, np.float32)
    for method in FusionMethod:
        legs = [Prefetch(query, "dense", k=40), Prefetch(weights, "terms", k=40)]
        inner = [Prefetch(prefetch=legs, fusion=Fusion(method), k=30), Prefetch(given, "tokens", k=40)]
        trees = [
            QueryRequest("one", prefetch=inner, fusion=Fusion(method), k=20, offset=3),
            QueryRequest("one", prefetch=inner, fusion=Fusion(method), k=20, filter=F("g").eq(1)),
            QueryRequest("one", given, "tokens", prefetch=inner, k=20),
        ]
        for tree in trees:
            wanted, found = db.query(tree), db.query(dataclasses.replace(tree, collection="four"))
            assert list(found.ids) == list(wanted.ids)
            np.testing.assert_array_equal(found.scores, wanted.scores)
            assert len(wanted) == 20


def test_filters_hold_below_and_thresholds_where_they_stand(db: Database) -> None:
    query = DENSE[3] + 0.25
    leg = Prefetch(query, "dense", filter=F("g").eq(2), k=50, score_threshold=7.0)
    hits = db.query(QueryRequest("c", prefetch=[leg], fusion=Fusion(FusionMethod.RELATIVE), k=50))
    near = {i: s for i, s in dense_scores(query).items() if GROUP[i] == 2 and -s <= 7.0}
    assert [hit.id for hit in hits] == ranked(near, 50)
    assert hits.scores[0] == 1.0
    above = db.query(QueryRequest("c", prefetch=[leg], fusion=Fusion(FusionMethod.RELATIVE), k=50, score_threshold=0.5))
    assert [hit.id for hit in above] == [hit.id for hit in hits if hit.score >= 0.5]
    none = db.query(QueryRequest("c", prefetch=[leg], fusion=Fusion(), k=5, filter=F("g").eq(1)))
    assert list(none) == []


def test_mmr_spreads_the_answers(db: Database) -> None:
    query = DENSE[3] + 0.25
    plain = db.query(QueryRequest("c", query, "dense", k=10))
    same = db.query(QueryRequest("c", query, "dense", k=10, mmr=Mmr(0.0, 60)))
    assert (same.ids == plain.ids).all()
    spread = db.query(QueryRequest("c", query, "dense", k=10, mmr=Mmr(0.8, 60)))
    pool = set(db.query(QueryRequest("c", query, "dense", k=60)).ids.tolist())
    assert set(spread.ids.tolist()) <= pool
    assert spread.ids[0] == plain.ids[0]

    def nearest_pair(ids: np.ndarray) -> float:
        own = DENSE[ids.astype(int)]
        gaps = np.linalg.norm(own[:, None] - own[None], axis=2) + np.eye(len(own)) * 1e9
        return float(gaps.min(axis=1).mean())

    assert nearest_pair(spread.ids) > nearest_pair(plain.ids)
    dense = np.float32(np.linalg.norm(DENSE[spread.ids.astype(int)] - query, axis=1))
    np.testing.assert_allclose(spread.scores, dense, rtol=1e-6)


LEG = Prefetch(DENSE[0], "dense")


@pytest.mark.parametrize(
    ("request_", "reason", "path"),
    [
        (QueryRequest("c", fusion=Fusion()), "BAD_ARGUMENT", "fusion"),
        (QueryRequest("c", prefetch=[LEG]), "BAD_ARGUMENT", "query"),
        (QueryRequest("c", DENSE[0], "dense", prefetch=[LEG], fusion=Fusion()), "BAD_ARGUMENT", "fusion"),
        (QueryRequest("c", prefetch=[LEG], fusion=Fusion(weights=(1.0, 2.0))), "BAD_ARGUMENT", "fusion.weights"),
        (QueryRequest("c", prefetch=[LEG], fusion=Fusion(weights=(-1.0,))), "BAD_ARGUMENT", "fusion.weights[0]"),
        (QueryRequest("c", prefetch=[LEG], fusion=Fusion(weights=(np.nan,))), "BAD_ARGUMENT", "fusion.weights[0]"),
        (QueryRequest("c", prefetch=[LEG], fusion=Fusion(k=0)), "BAD_ARGUMENT", "fusion.k"),
        (QueryRequest("c", prefetch=[LEG], fusion=Fusion(), score_threshold=0.1), "BAD_ARGUMENT", "score_threshold"),
        (QueryRequest("c", prefetch=[Prefetch(DENSE[0], "nope")], fusion=Fusion()), "VECTOR_NAME_UNKNOWN",
         "prefetch[0].using"),
        (QueryRequest("c", prefetch=[LEG, Prefetch(DENSE[0][:3], "dense")], fusion=Fusion()), "DIMENSION_MISMATCH",
         "prefetch[1].query"),
        (QueryRequest("c", prefetch=[Prefetch(DENSE[0], "dense", k=20_000)], fusion=Fusion()), "LIMIT_EXCEEDED",
         "prefetch[0].limit"),
        (QueryRequest("c", prefetch=[Prefetch(DENSE[0], "dense", k=10_000)] * 11, fusion=Fusion()), "LIMIT_EXCEEDED",
         "limits of all prefetches"),
        (QueryRequest("c", terms({1: 1}), "terms", mmr=Mmr()), "BAD_ARGUMENT", "mmr"),
        (QueryRequest("c", DENSE[0], "dense", mmr=Mmr(1.5)), "BAD_ARGUMENT", "mmr.diversity"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(db: Database, request_: QueryRequest, reason: str, path: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        db.query(request_)
    assert caught.value.reason == reason, caught.value
    assert [found for found, _ in caught.value.field_violations] == [path]


def test_prefetches_are_not_nested_without_end(db: Database) -> None:
    nested = LEG
    for _ in range(5):
        nested = Prefetch(prefetch=[nested], fusion=Fusion())
    with pytest.raises(InvalidArgument, match="prefetch_depth_max"):
        db.query(QueryRequest("c", prefetch=[nested], fusion=Fusion()))
