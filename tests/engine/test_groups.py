"""Grouped queries against grouping the whole ranking in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_support import IN_PLACE

from vecstore.engine.database import Database
from vecstore.errors import InvalidArgument
from vecstore.grouping import Groups, GroupsRequest
from vecstore.index_spec import Graph
from vecstore.query.builder import F
from vecstore.schema import FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.types import Fusion, Mmr, PointBatch, Prefetch, QueryRequest, UpsertRequest, VectorBatch

N, DIM, SEED = 900, 6, 20261127
RNG = np.random.default_rng(SEED)
VECTORS = RNG.integers(-4, 5, size=(N, DIM)).astype(np.float32)
ODD: list[Any] = [None, True, False, 1, 1.0, 2.5, "1", [], {"a": 1}, ["x", "y", "x"], [1, True, None, "y"], 2**70]


def _payload(place: int) -> dict[str, Any]:
    draw = RNG.random()
    if draw < 0.1:
        return {"n": place % 2}
    doc: Any = ODD[int(RNG.integers(len(ODD)))] if draw < 0.3 else f"doc{int(RNG.zipf(1.4)) % 90}"
    return {"n": place % 2, "doc": doc}


PAYLOADS = [_payload(place) for place in range(N)]


def values(payload: dict[str, Any]) -> list[tuple[type, Any]]:
    """The groups of a payload; booleans are told from numbers by their type."""
    found = payload.get("doc")
    listed = found if isinstance(found, list) else [found]
    groups: list[tuple[type, Any]] = []
    for one in listed:
        if isinstance(one, float):
            one = int(one) if one == int(one) else None
        if isinstance(one, str | bool) or (isinstance(one, int) and abs(one) < 2**63):
            key = (bool if isinstance(one, bool) else object, one)
            if key not in groups:
                groups.append(key)
    return groups


def grouped(order: list[int], limit: int, size: int) -> list[tuple[Any, list[int]]]:
    groups: dict[tuple[type, Any], list[int]] = {}
    for place in order:
        for key in values(PAYLOADS[place]):
            if key in groups or len(groups) < limit:
                groups.setdefault(key, []).append(place)
    return [(value, places[:size]) for (_, value), places in groups.items()]


def ranking(query: np.ndarray, live: list[int]) -> list[int]:
    distances = ((VECTORS - query) ** 2).sum(axis=1)
    return sorted(live, key=lambda place: (distances[place], place))


def shown(answer: Groups) -> list[tuple[Any, list[int]]]:
    return [(group.value, group.hits.ids.tolist()) for group in answer.groups]


@pytest.fixture(params=[None, FieldKind.KEYWORD], ids=["payloads", "index"])
def db(request: pytest.FixtureRequest, reopen: Callable[..., Database]) -> Database:
    """A sealed segment and a growing one."""
    db = reopen(IN_PLACE)
    fields = {} if request.param is None else {"doc": request.param}
    db.create_collection("c", Schema({"v": VectorField(VectorKind.DENSE, DIM, Metric.L2)}, fields))
    for low, high in ((0, 600), (600, N)):
        payloads: list[bytes | None] = [msgspec.json.encode(one) for one in PAYLOADS[low:high]]
        batch = PointBatch(list(range(low, high)), {"v": VectorBatch(VECTORS[low:high])}, payloads)
        db.write(UpsertRequest("c", batch))
        if not low:
            db.wait_operation(db.compact("c").id, 60)
    return db


@pytest.mark.parametrize(("limit", "size"), [(1, 1), (3, 2), (10, 3), (40, 7), (200, 40), (5, 400)])
def test_groups_are_those_of_the_whole_ranking(db: Database, limit: int, size: int) -> None:
    for query in VECTORS[::300] + 0.25:
        answer = db.query_groups(GroupsRequest(QueryRequest("c", query, k=limit), "doc", size))
        assert shown(answer) == grouped(ranking(query, list(range(N))), limit, size), SEED
        for group in answer.groups:
            gaps = np.linalg.norm(VECTORS[group.hits.ids.astype(int)] - query, axis=1)
            np.testing.assert_allclose(group.hits.scores, gaps, rtol=1e-6)
            assert {True for hit in group.hits if hit.payload == PAYLOADS[int(str(hit.id))]} == {True}
        types = [type(group.value) for group in answer.groups]
        assert types == [type(value) for value, _ in shown(answer)]


def test_filters_and_thresholds_come_before_groups(db: Database) -> None:
    query = VECTORS[5] + 0.25
    near = [place for place in range(N) if PAYLOADS[place]["n"] == 1]
    near = [place for place in near if np.linalg.norm(VECTORS[place] - query) <= 8.0]
    asked = QueryRequest("c", query, k=20, filter=F("n").eq(1), score_threshold=8.0)
    assert shown(db.query_groups(GroupsRequest(asked, "doc", 4))) == grouped(ranking(query, near), 20, 4)


def test_what_a_fusion_ranks_is_grouped(db: Database) -> None:
    legs = [Prefetch(VECTORS[3] + 0.25, k=60), Prefetch(VECTORS[90] + 0.25, k=60)]
    whole = db.query(QueryRequest("c", prefetch=legs, fusion=Fusion(), k=500))
    answer = db.query_groups(GroupsRequest(QueryRequest("c", prefetch=legs, fusion=Fusion(), k=8, explain=True), "doc"))
    assert shown(answer) == grouped(whole.ids.tolist(), 8, 3)
    legs_of = {hit.id: hit.legs for hit in whole}
    assert all(hit.legs == legs_of[hit.id] for group in answer.groups for hit in group.hits)
    assert answer.explain is not None
    assert len(answer.explain["prefetch"]) == 2


def test_a_missing_key_has_no_groups(db: Database) -> None:
    assert db.query_groups(GroupsRequest(QueryRequest("c", VECTORS[0]), "nothing.here")).groups == []


def test_an_index_finds_the_groups_too(reopen: Callable[..., Database]) -> None:
    """One document fills the neighbourhood: its other points have to be passed over, whatever the index."""
    db = reopen()
    db.create_collection("g", Schema({"v": VectorField(VectorKind.DENSE, DIM, Metric.L2, index=Graph())}))
    rows = RNG.normal(size=(12_000, DIM)).astype(np.float32)
    near = np.argsort((rows**2).sum(axis=1))[:8_000]
    docs = ["other"] * len(rows)
    for place in near.tolist():
        docs[place] = "near"
    payloads: list[bytes | None] = [msgspec.json.encode({"doc": doc}) for doc in docs]
    for low in range(0, len(rows), 6_000):
        part = slice(low, low + 6_000)
        ids = list(range(low, low + 6_000))
        db.write(UpsertRequest("g", PointBatch(ids, {"v": VectorBatch(rows[part])}, payloads[part])))
    db.wait_operation(db.compact("g").id, 60)
    answer = db.query_groups(GroupsRequest(QueryRequest("g", np.zeros(DIM, np.float32), k=2), "doc", 5))
    assert [(group.value, len(group.hits)) for group in answer.groups] == [("near", 5), ("other", 5)]


@pytest.mark.parametrize(
    ("query", "by", "size", "path"),
    [
        (QueryRequest("c", VECTORS[0], offset=1), "doc", 3, "offset"),
        (QueryRequest("c", VECTORS[0], mmr=Mmr()), "doc", 3, "mmr"),
        (QueryRequest("c", VECTORS[0]), "doc", 0, "group_size"),
        (QueryRequest("c", VECTORS[0], k=5_000), "doc", 3, "limit * group_size"),
        (QueryRequest("c", VECTORS[0]), "", 3, "group_by"),
        (QueryRequest("c"), "doc", 3, "query"),
    ],
)
def test_what_is_wrong_is_named(db: Database, query: QueryRequest, by: str, size: int, path: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        db.query_groups(GroupsRequest(query, by, size))
    assert [found for found, _ in caught.value.field_violations] == [path]
