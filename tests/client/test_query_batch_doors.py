"""Batches of unlike queries through every client: each is answered as it is alone, and errors name its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore import (
    MMR,
    RRF,
    Dense,
    F,
    InvalidArgument,
    NearestId,
    NotFound,
    OrderBy,
    Prefetch,
    Query,
    Recommend,
    Sparse,
    Text,
)
from vecstore.client.query_batches import cut_requests, request_bytes
from vecstore.config import Limits, Settings
from vecstore.errors import VecstoreError
from vecstore.formula import field, score
from vecstore.types import Prefetch as PrefetchRequest
from vecstore.types import QueryRequest

SEED = 20261129
N, DIM = 60, 4
RNG = np.random.default_rng(SEED)
VECTORS = RNG.integers(-4, 5, size=(N, DIM)).astype(np.float32)
TERMS = [{int(i): float(RNG.integers(1, 4)) for i in RNG.choice(20, 5, replace=False)} for _ in range(N)]
WORDS = ["red fox", "blue whale", "red whale", "green frog"]
LEGS = [Prefetch(vector=VECTORS[5], using="v", k=30), Prefetch(vector=TERMS[9], using="terms", k=30)]


def filled(db: Any) -> Any:
    docs = db.create_collection(
        "docs", {"v": Dense(DIM, metric="l2")}, sparse={"terms": Sparse()}, text={"body": Text()}
    )
    texts = [WORDS[i % 4] for i in range(N)]
    docs.upsert(range(N), {"v": VECTORS, "terms": TERMS, "body": texts}, [{"n": i} for i in range(N)])
    return docs


@pytest.fixture
def docs(db: Any) -> Any:
    return filled(db)


KINDS = [
    Query(VECTORS[5], 3, using="v"),
    Query(VECTORS[5], 3, using="v", filter=F("n").gte(30), with_payload=["n"], exact=True),
    Query(TERMS[3], 7, using="terms", offset=2),
    Query("red whale", 4, using="body", with_vectors=True),
    Query(prefetch=LEGS, fusion=RRF(7), k=5),
    Query(Recommend([5, 9], [7]), 6, using="v"),
    Query(NearestId(8), 2, using="v", score_threshold=9.0),
    Query(score(0, default=50) + field("n") / 3, 5, prefetch=LEGS, explain=True),
    Query(VECTORS[1], 5, using="v", mmr=MMR(0.7, 30)),
    Query(OrderBy("n", descending=True), 3, with_payload=False),
    Query(VECTORS[6], 3, using="v"),  # like the first, with which it shares a pass
]


def contents(hits: Any) -> list[Any]:
    return [(hit.id, hit.score, hit.payload, hit.legs, vectors_of(hit)) for hit in hits]


def vectors_of(hit: Any) -> list[Any]:
    found = sorted((hit.vectors or {}).items())
    return [(name, one.tolist() if name == "v" else [one.indices.tolist(), one.values.tolist()]) for name, one in found]


def test_each_is_answered_as_it_is_alone(docs: Any) -> None:
    answers = docs.query_batch(KINDS)
    assert len(answers) == len(KINDS)
    for query, answer in zip(KINDS, answers, strict=True):
        alone = docs.query(query.vector, query.k, **query.options)
        assert contents(answer) == contents(alone), query
        assert len(answer), query
        assert answer.seq == docs.last_seq
    assert answers[7].explain["undefined"] == 0
    assert answers[0].explain is None
    assert len({str(contents(one)) for one in answers}) == len(KINDS)
    assert [contents(one) for one in docs.query_batch(tuple(KINDS[::-1]))] == [contents(one) for one in answers[::-1]]


def test_vectors_alone_take_the_options_of_the_batch(docs: Any) -> None:
    found = docs.query_batch(VECTORS[:3], 4, using="v", filter=F("n").lt(20))
    asked = docs.query_batch([Query(one, 4, using="v", filter=F("n").lt(20)) for one in VECTORS[:3]])
    assert [contents(one) for one in found] == [contents(one) for one in asked]
    assert [len(one) for one in docs.query_batch(VECTORS[:2], using="v")] == [10, 10]


GOOD = Query(VECTORS[0], using="v")
BAD: list[tuple[Any, type[VecstoreError], str]] = [
    (Query([1.0, 2.0], using="v"), InvalidArgument, "queries[2].query"),
    (Query(VECTORS[0], using="no"), InvalidArgument, "queries[2]"),
    (Query(VECTORS[0], 0, using="v"), InvalidArgument, "queries[2].k"),
    (Query(VECTORS[0], using="v", nprobe=-1), InvalidArgument, "queries[2].nprobe"),
    (
        Query(prefetch=[LEGS[0], Prefetch(vector=[1], using="v")], fusion=RRF()),
        InvalidArgument,
        "queries[2].prefetch[1].query",
    ),
    (Query(prefetch=LEGS, fusion=RRF(0)), InvalidArgument, "queries[2].fusion.k"),
    (Query(score(0)), InvalidArgument, "queries[2].formula"),
    (Query({"formula": {"nothing": 1}}, prefetch=LEGS), InvalidArgument, "queries[2].formula"),
    (Query(Recommend([5], strategy="worst"), using="v"), InvalidArgument, "queries[2].recommend.strategy"),
    (Query(NearestId(777), using="v"), NotFound, "queries[2]"),
    (VECTORS[0], InvalidArgument, "queries[2]"),
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(BAD)))
def test_errors_name_the_place(docs: Any, place: int) -> None:
    bad, kind, path = BAD[place]
    with pytest.raises(kind) as caught:
        docs.query_batch([GOOD, KINDS[4], bad, GOOD])
    assert caught.value.message.startswith("queries[2]"), caught.value
    if path != "queries[2]":
        assert path in [found for found, _ in caught.value.field_violations], caught.value.field_violations


def test_options_are_each_querys_own(docs: Any) -> None:
    for call, name in (
        (lambda: docs.query_batch([GOOD], 3), "k"),
        (lambda: docs.query_batch([GOOD], using="v"), "using"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            call()
        assert [found for found, _ in caught.value.field_violations] == [name]
    with pytest.raises(TypeError, match="no option 'limit'"):
        Query(VECTORS[0], limit=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no option 'explain'"):
        docs.query_batch(VECTORS[:2], using="v", explain=True)


def few(limits: Limits, calls: list[int], ask: Callable[[Any], Any]) -> Any:
    with vecstore.connect(":memory:", settings=Settings(limits=limits)) as db:
        docs = filled(db)
        inner = docs._transport.query_batch

        def counted(requests: Any) -> Any:
            calls.append(len(requests))
            return inner(requests)

        known = docs._transport
        there = {"settings": known.settings, "collection_info": known.collection_info}
        docs._transport = type("T", (), {"query_batch": staticmethod(counted), **there})()
        return ask(docs)


def test_large_batches_are_cut_and_errors_are_counted_in_the_whole() -> None:
    calls: list[int] = []
    limits = Limits(queries_per_request_max=4)
    queries = [Query(VECTORS[i], 1, using="v") for i in range(10)]
    answers = few(limits, calls, lambda docs: docs.query_batch(queries))
    assert calls == [4, 4, 2]
    gaps = ((VECTORS[None] - VECTORS[:10, None]) ** 2).sum(axis=2)
    assert [one.scores[0] for one in answers] == [0.0] * 10
    assert [gaps[i, one.ids[0]] for i, one in enumerate(answers)] == [0.0] * 10
    queries[9] = Query(NearestId(777), using="v")
    with pytest.raises(NotFound, match=r"^POINT_NOT_FOUND: queries\[9\]: nearest_id"):
        few(limits, calls, lambda docs: docs.query_batch(queries))
    queries[5] = Query(VECTORS[0], 100_000, using="v")
    with pytest.raises(InvalidArgument, match=r"queries\[5\]") as caught:
        few(limits, calls, lambda docs: docs.query_batch(queries))
    assert caught.value.field_violations[0][0].startswith("queries[5]")


def test_batches_are_cut_by_bytes() -> None:
    requests = [QueryRequest("c", np.zeros((1, 100), np.float32)) for _ in range(7)]
    own = request_bytes(requests[0])
    assert own >= 400
    parts = list(cut_requests(requests, 3 * own, 100))
    assert [(start, len(part)) for start, part in parts] == [(0, 3), (3, 3), (6, 1)]
    assert [len(part) for _, part in cut_requests(requests, 1, 100)] == [1] * 7
    inner = QueryRequest("c", prefetch=[PrefetchRequest(np.zeros((1, 100), np.float32))] * 3)
    assert request_bytes(inner) > 1_200
