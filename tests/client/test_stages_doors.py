"""Multi-vectors and queries of several stages through every client: the same answers, the same refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vecstore import DBSF, MMR, RRF, Dense, F, InvalidArgument, Multi, Prefetch, RelativeScore, Sparse

SEED = 20261128
N, DIM, TOKEN_DIM = 80, 8, 4
RNG = np.random.default_rng(SEED)
DENSE = RNG.integers(-3, 4, size=(N, DIM)).astype(np.float32)
TERMS = [{int(i): float(RNG.integers(1, 4)) for i in RNG.choice(20, 5, replace=False)} for _ in range(N)]
TOKENS = [RNG.integers(-2, 3, size=(int(RNG.integers(1, 5)), TOKEN_DIM)).astype(np.float32) for _ in range(N)]
TOKENS[7] = None  # type: ignore[call-overload]  # a point without the vector


@pytest.fixture
def docs(db: Any) -> Any:
    docs = db.create_collection(
        "docs", {"dense": Dense(DIM, metric="dot")}, sparse={"terms": Sparse()}, multi={"tokens": Multi(TOKEN_DIM)}
    )
    docs.upsert(list(range(N)), {"dense": DENSE, "terms": TERMS, "tokens": TOKENS}, [{"n": i % 4} for i in range(N)])
    return docs


def maxsim(query: np.ndarray) -> dict[int, float]:
    return {i: float((query @ row.T).max(axis=1).sum()) for i, row in enumerate(TOKENS) if row is not None}


def ranked(scores: dict[int, float], k: int) -> list[int]:
    return sorted(scores, key=lambda i: (-scores[i], i))[:k]


def test_multi_vectors_come_back_and_are_found(docs: Any) -> None:
    points = docs.get([3, 7], with_vectors=["tokens"])
    np.testing.assert_array_equal(points[0].vectors["tokens"], TOKENS[3])
    assert not points[1].vectors
    query = TOKENS[3]
    expected = maxsim(query)
    hits = docs.query(query, using="tokens", k=100)
    assert hits.ids.tolist() == ranked(expected, 100)
    assert hits.scores.tolist() == [expected[i] for i in ranked(expected, 100)]
    some = docs.query(query.tolist(), using="tokens", k=5, filter=F("n").eq(2))
    assert some.ids.tolist() == ranked({i: s for i, s in expected.items() if i % 4 == 2}, 5)
    both = docs.query_batch([query, TOKENS[4]], using="tokens", k=5)
    assert [one.ids.tolist() for one in both] == [ranked(maxsim(one), 5) for one in (query, TOKENS[4])]


@pytest.mark.parametrize(
    "fusion",
    [RRF(7), RRF(7, (3, 0.5), weigh_ranks=True), DBSF((2, 1)), RelativeScore()],
    ids=lambda one: one.method.value,
)
def test_hybrid_is_prefetches_fused(docs: Any, fusion: Any) -> None:
    legs = [Prefetch(vector=DENSE[5], using="dense", k=30), Prefetch(vector=TERMS[9], using="terms", k=30)]
    composed = docs.query(prefetch=legs, fusion=fusion, k=10, filter=F("n").gte(1))
    hybrid = docs.hybrid({"dense": DENSE[5], "terms": TERMS[9]}, 10, fusion=fusion, candidates=30, filter=F("n").gte(1))
    assert list(composed) == list(hybrid)
    assert all(hit.id % 4 for hit in hybrid)
    alone = [
        docs.query(DENSE[5], using="dense", k=30, filter=F("n").gte(1)),
        docs.query(TERMS[9], using="terms", k=30, filter=F("n").gte(1)),
    ]
    found = [dict(zip(one.ids.tolist(), one.scores.tolist(), strict=True)) for one in alone]
    for hit in hybrid:
        assert hit.legs == {leg: scores[hit.id] for leg, scores in enumerate(found) if hit.id in scores}
    if fusion.method.value == "rrf":
        ranks = [{i: rank for rank, i in enumerate(scores, 1)} for scores in found]
        weighed = list(zip(ranks, fusion.weights or (1, 1), strict=True))
        total = {i: sum(1 / (7 + own[i] / weight) for own, weight in weighed if i in own) for own in ranks for i in own}
        np.testing.assert_allclose(hybrid.scores, sorted(total.values(), reverse=True)[:10], rtol=1e-6)


def test_hybrid_reranked_by_tokens(docs: Any) -> None:
    query = TOKENS[11]
    fused = docs.hybrid({"dense": DENSE[5], "terms": TERMS[9]}, 20, candidates=20)
    hits = docs.hybrid({"dense": DENSE[5], "terms": TERMS[9]}, 5, candidates=20, rerank={"tokens": query})
    among = {i: s for i, s in maxsim(query).items() if i in set(fused.ids.tolist())}
    assert hits.ids.tolist() == ranked(among, 5)
    assert hits.legs is None


def test_explain_shows_the_stages(docs: Any) -> None:
    hits = docs.hybrid({"dense": DENSE[5], "terms": TERMS[9]}, 3, explain=True)
    assert [leg["stage"] for leg in hits.explain["prefetch"]] == ["dense", "terms"]
    assert hits.explain["found"] == 3


def test_diverse_answers(docs: Any) -> None:
    plain = docs.query(DENSE[5], using="dense", k=5)
    assert docs.query(DENSE[5], using="dense", k=5, mmr=MMR(0.0, 40)).ids.tolist() == plain.ids.tolist()
    assert docs.query(DENSE[5], using="dense", k=5, mmr=MMR(0.9, 40)).ids.tolist() != plain.ids.tolist()


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"fusion": RRF()}, "BAD_ARGUMENT", "prefetch"),
    (
        {"prefetch": [Prefetch(vector=[1, 2], using="dense")], "fusion": RRF()},
        "DIMENSION_MISMATCH",
        "prefetch[0]",
    ),
    ({"prefetch": [Prefetch(vector=DENSE[0], using="no")], "fusion": RRF()}, "VECTOR_NAME_UNKNOWN", "prefetch[0]"),
    ({"prefetch": [Prefetch(vector=DENSE[0], using="dense")], "fusion": RRF(0)}, "BAD_ARGUMENT", "fusion.k"),
    ({"vector": TOKENS[0][:, :2], "using": "tokens"}, "DIMENSION_MISMATCH", "vector"),
    ({"vector": np.empty((0, TOKEN_DIM)), "using": "tokens"}, "BAD_VECTOR", "tokens"),
    ({"vector": DENSE[0], "using": "tokens"}, "BAD_VECTOR", "vector"),
    ({"vector": np.full((2, TOKEN_DIM), np.nan), "using": "tokens"}, "NAN_OR_INF", "query[0][0]"),
]


@pytest.mark.parametrize(("asked", "reason", "names"), BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_named(docs: Any, asked: dict[str, Any], reason: str, names: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        docs.query(**asked)
    assert caught.value.reason == reason
    assert names in caught.value.message


def test_bad_multi_vectors_are_refused_before_anything_is_written(docs: Any) -> None:
    for tokens, reason in (
        ([np.ones((2, 3))], "DIMENSION_MISMATCH"), ([np.full((1, TOKEN_DIM), np.inf)], "NAN_OR_INF"),
        ([["a", "b"]], "BAD_VECTOR"), ([np.ones((9_000, TOKEN_DIM))], "LIMIT_EXCEEDED"),
    ):  # fmt: skip
        with pytest.raises(InvalidArgument) as caught:
            docs.upsert([1000], {"tokens": tokens})
        assert caught.value.reason == reason
    assert docs.get([1000]) == []
