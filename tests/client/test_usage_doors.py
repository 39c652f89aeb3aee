"""`usage` of answers, over every way to a database: what was searched is counted, in numbers that are known."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

import vecstore
from vecstore import RRF, F, Prefetch
from vecstore.config import Settings, Storage

SEED = 20261128
N, DIM = 300, 16
print(f"test_usage_doors: seed {SEED}")
ROWS = np.random.default_rng(SEED).standard_normal((N, DIM)).astype(np.float32)
ODD = F("n").eq(1)


def fill(db: Any) -> Any:
    """A sealed segment of 200 rows and a growing one of 100."""
    docs = db.create_collection("docs", vectors={"v": vecstore.Dense(DIM, index="flat")})
    payloads = [{"n": n % 2} for n in range(N)]
    docs.upsert(range(200), ROWS[:200], payloads[:200])
    docs.compact()
    docs.upsert(range(200, N), ROWS[200:], payloads[200:])
    return docs


def counts(answer: Any) -> tuple[int, int, int]:
    usage = answer.usage
    return usage.queries, usage.segments, usage.rows_scored


def test_every_answer_says_what_it_took(db: Any) -> None:
    docs = fill(db)
    query, few = ROWS[0], 20
    started = time.perf_counter()
    one = docs.query(query, k=5)
    waited_us = 1e6 * (time.perf_counter() - started)
    assert counts(one) == (1, 2, N)
    assert 0 < one.usage.time_us <= waited_us
    assert counts(docs.query(query, k=5, filter=ODD)) == (1, 2, N // 2)
    assert counts(docs.query(query, k=5, filter=F("n").eq(7))) == (1, 0, 0)
    legs = [Prefetch(vector=query, using="v", k=few), Prefetch(vector=ROWS[1], using="v", k=few, filter=ODD)]
    assert counts(docs.query(prefetch=legs, fusion=RRF())) == (1, 4, N + N // 2)
    once = Prefetch(vector=query, using="v", k=few)
    staged = counts(docs.query(ROWS[1], prefetch=[once], k=3))
    assert staged[0] == 1
    assert N + few <= staged[2] <= 2 * N  # a scan of those that the prefetch found
    groups = docs.query_groups(query, group_by="n", group_size=2, k=2)
    assert counts(groups) == (1, 2, N)
    assert groups.usage.time_us > 0
    together = docs.query_batch(list(ROWS[:7]), k=3)
    assert [counts(hits) for hits in together] == [(7, 2, 7 * N)] * 7


@pytest.mark.parametrize("index", ["graph", "ivf | saq(bits=4)", "flat | rabitq(bits=4)"])
def test_what_is_counted_is_what_explain_counts(index: str) -> None:
    rng = np.random.default_rng(SEED)
    rows = rng.standard_normal((2_000, 32)).astype(np.float32)
    with vecstore.connect(":memory:", settings=Settings(storage=Storage(index_rows_min=500))) as client:
        docs = client.create_collection("docs", vectors={"v": vecstore.Dense(32, index=index)})
        docs.upsert(range(2_000), rows, wait="indexed")
        docs.upsert(range(2_000, 2_050), rows[:50])
        hits = docs.query(rows[3] + 0.1, k=10, explain=True)
        segments = hits.explain["segments"]
        assert [one["strategy"] for one in segments] != ["exact_scan", "exact_scan"]
        assert hits.usage.segments == len(segments) == 2
        assert hits.usage.rows_scored == sum(one["counters"]["rows_scanned"] for one in segments)
        assert 50 < hits.usage.rows_scored < 2_051
        assert hits.usage.time_us <= 1e3 * hits.explain["total_ms"] + 5e5


def test_rest_has_it_by_name(shared: Any) -> None:
    with vecstore.connect(f"http://127.0.0.1:{shared.ports['http']}") as client:
        fill(client)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{shared.ports['http']}", timeout=60) as http:
            query = {"nearest": ROWS[0].tolist(), "limit": 2}
            path = "/v1/collections/docs/points/query"
            asked: list[tuple[str, Any, Callable[[Any], Any]]] = [
                (path, query, lambda answer: answer),
                (f"{path}/batch", {"queries": [query]}, lambda answer: answer["results"][0]),
                (f"{path}/groups", {"query": query, "group_by": "n", "group_size": 2}, lambda answer: answer),
            ]
            for target, body, of in asked:
                usage = of(http.post(target, json=body).json())["usage"]
                assert usage.pop("time_us") > 0
                assert usage == {"queries": 1, "segments": 2, "rows_scored": N}
    finally:
        shared.empty()
