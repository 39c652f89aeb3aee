"""A collection indexed by a graph: through merges, deletes, restarts and worker processes, with filters and `ef`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from engine_support import settle, vectors_of
from index_support import load, query, questions, recall, schema, strategies

from vecstore.config import Settings, Storage
from vecstore.engine import scan
from vecstore.engine.database import Database
from vecstore.index.base import SearchParams, Warm
from vecstore.index.graph import GraphIndex
from vecstore.index_spec import Graph
from vecstore.query.builder import F
from vecstore.schema import Metric
from vecstore.types import DeleteRequest


def settings(in_place_rows: int = 100_000) -> Settings:
    storage = Storage(
        seal_rows=100_000, in_place_rows=in_place_rows, merge_factor=99, disk_reserve_bytes=0, index_rows_min=300
    )
    return Settings(storage=storage)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "FEW_ROWS", 20)


def opened(reopen: Callable[..., Database], metric: Metric = Metric.COSINE, **how: Any) -> Database:
    db = reopen(settings(**how))
    db.create_collection("c", schema(Graph(degree=16), metric))
    load(db, 0, 2_000, 1_000)
    settle(db, db.compact("c"))
    assert strategies(db) == ["graph"]
    return db


@pytest.mark.parametrize(
    ("metric", "in_place_rows"),
    [(Metric.COSINE, 100_000), (Metric.COSINE, 100), (Metric.DOT, 100_000), (Metric.L2, 100_000)],
)
def test_recall_stays_through_churn_and_restart(
    reopen: Callable[..., Database], metric: Metric, in_place_rows: int
) -> None:
    db = opened(reopen, metric, in_place_rows=in_place_rows)
    asked = questions(40)
    assert recall(db, asked, ef=200) > 0.97
    dead = list(range(0, 2_000, 3))
    db.write(DeleteRequest("c", dead))
    load(db, 2_000, 2_600)
    assert recall(db, asked, ef=200) > 0.97
    settle(db, db.compact("c"))
    assert strategies(db) == ["graph"]
    before = recall(db, asked, ef=200)
    assert before > 0.97
    gone = set(dead)
    for vector in vectors_of(dead[:50]):
        assert not gone & {hit.id for hit in query(db, vector, params=SearchParams(ef=100))}
    again = reopen(settings(in_place_rows))
    assert strategies(again) == ["graph"]
    assert recall(again, asked, ef=200) == before
    for point in (1, 1_999, 2_599):
        found = query(again, vectors_of([point])[0], k=1, params=SearchParams(ef=100))[0].id
        assert found == point or metric is Metric.DOT  # where a longer vector may be nearer than itself


def test_a_merge_starts_from_the_edges_there_are(
    reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Warm[GraphIndex] | None] = []
    build = GraphIndex.build.__func__  # type: ignore[attr-defined]

    def watch(cls: Any, *arguments: Any) -> Any:
        seen.append(arguments[-1])
        return build(cls, *arguments)

    monkeypatch.setattr(GraphIndex, "build", classmethod(watch))
    db = opened(reopen)
    db.write(DeleteRequest("c", list(range(100))))
    load(db, 2_000, 2_100)
    settle(db, db.compact("c"))
    first, warm = seen
    assert first is None
    assert warm is not None
    assert warm.rows.tolist() == [-1] * 100 + list(range(1_900))


def test_a_wider_walk_finds_more(reopen: Callable[..., Database]) -> None:
    db = opened(reopen)
    asked = questions(60)
    found = [recall(db, asked, ef=ef) for ef in (10, 40, 400)]
    assert found[0] < found[1] <= found[2]
    assert found[2] > 0.99
    scored = [
        query(db, asked[0], explain=True, params=SearchParams(ef=ef)).explain["segments"][0]["counters"]["codes_scored"]
        for ef in (10, 40, 400)
    ]
    assert scored == sorted(scored)
    assert scored[0] < scored[2]


@pytest.mark.parametrize("high", [5, 60, 400, 1_500])
def test_a_filter_gets_its_k(reopen: Callable[..., Database], high: int) -> None:
    db = opened(reopen)
    where = F("n").lt(high) & F("id").exists()
    allowed = {point for point in range(2_000) if point % 1_000 < high}
    rows = vectors_of(range(2_000))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    shared = 0
    for vector in questions(20):
        hits = [hit.id for hit in query(db, vector, filter=where)]
        assert len(hits) == min(10, len(allowed))
        assert set(hits) <= allowed
        order = np.argsort(-(rows @ vector), kind="stable").tolist()
        shared += len(set(hits) & set([row for row in order if row in allowed][: len(hits)]))
    assert shared >= 0.9 * 20 * min(10, len(allowed))
