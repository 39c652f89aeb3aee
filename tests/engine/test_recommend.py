"""Queries by examples against their formulas over all points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from vecstore.engine import recommend
from vecstore.engine.database import Database
from vecstore.errors import InvalidArgument, NotFound
from vecstore.query.builder import F
from vecstore.query.fusion import Fusion
from vecstore.ranking import Discover, Example, NearestId, Ranking, Recommend, Strategy
from vecstore.rows import TextRows
from vecstore.schema import Analysis, Metric, Schema, VectorField, VectorKind
from vecstore.sparse import SparseVector, sparse_rows
from vecstore.tokens import TokenRows
from vecstore.types import Mmr, PointBatch, Prefetch, QueryRequest, UpsertRequest, VectorBatch

SEED, N, DIM = 20261127, 700, 5
RNG = np.random.default_rng(SEED)
DENSE = RNG.normal(size=(N, DIM)).astype(np.float32)
BITS = RNG.integers(0, 256, (N, 2)).astype(np.uint8)
SPARSE = [{int(i): float(RNG.integers(1, 4)) for i in RNG.choice(12, 4, replace=False)} for _ in range(N)]
TOKENS = [RNG.integers(-2, 3, size=(int(RNG.integers(1, 4)), 3)).astype(np.float32) for _ in range(N)]
METRICS = {"cosine": Metric.COSINE, "dot": Metric.DOT, "l2": Metric.L2}
SCHEMA = Schema(
    {name: VectorField(VectorKind.DENSE, DIM, metric) for name, metric in METRICS.items()}
    | {
        "bits": VectorField(VectorKind.BINARY, 16, Metric.HAMMING),
        "terms": VectorField(VectorKind.SPARSE, 0, Metric.DOT),
        "tokens": VectorField(VectorKind.MULTI, 3, Metric.MAXSIM),
    }
)
FIELDS = [*SCHEMA.vectors]


@pytest.fixture(autouse=True)
def _few_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommend, "FIRST", 4)


def terms(weights: dict[int, float]) -> Any:
    return sparse_rows([SparseVector(np.array(list(weights), np.uint32), np.array(list(weights.values())))])


@pytest.fixture(scope="module")
def db() -> Any:
    """A sealed segment and a growing one; point 699 has no vector but "dot"."""
    db = Database.open(None)
    db.create_collection("c", SCHEMA)
    for low, high in ((0, 500), (500, N - 1)):
        part = slice(low, high)
        sparse = [SparseVector(np.array(list(one), np.uint32), np.array(list(one.values()))) for one in SPARSE[part]]
        vectors = {name: VectorBatch(DENSE[part]) for name in METRICS}
        vectors |= {"bits": VectorBatch(BITS[part]), "terms": VectorBatch(sparse_rows(sparse))}
        vectors["tokens"] = VectorBatch(TokenRows.of(TOKENS[part], 3, np.float32))
        payloads: list[bytes | None] = [msgspec.json.encode({"n": i % 3}) for i in range(low, high)]
        db.write(UpsertRequest("c", PointBatch(list(range(low, high)), vectors, payloads)))
        if not low:
            db.wait_operation(db.compact("c").id, 60)
    db.write(UpsertRequest("c", PointBatch([N - 1], {"dot": VectorBatch(DENSE[N - 1 :])})))
    yield db
    db.close()


def near(field: str, one: int | np.ndarray, other: int) -> float:
    """The similarity of a point, or a dense vector, to a point."""
    if field == "terms":
        assert isinstance(one, int)
        return sum(weight * SPARSE[other].get(term, 0.0) for term, weight in SPARSE[one].items())
    if field == "tokens":
        assert isinstance(one, int)
        return float((TOKENS[one] @ TOKENS[other].T).max(axis=1).sum())
    if field == "bits":
        assert isinstance(one, int)
        return -float(np.bitwise_count(BITS[one] ^ BITS[other]).sum())
    a, b = np.float64(DENSE[one] if isinstance(one, int) else one), np.float64(DENSE[other])
    if field == "l2":
        return -float(np.linalg.norm(a - b))
    return float(a @ b) / (float(np.linalg.norm(a) * np.linalg.norm(b)) if field == "cosine" else 1.0)


def squash(x: float) -> float:
    return 0.5 * (x / (1 + abs(x)) + 1)


def score(field: str, ranking: Recommend | Discover, point: int) -> float:
    if isinstance(ranking, Discover):
        pairs = [(near(field, a, point), near(field, b, point)) for a, b in ranking.context]  # type: ignore[arg-type]
        if ranking.target is None:
            return sum(min(0.0, squash(a) - squash(b)) for a, b in pairs)
        target = squash(near(field, ranking.target, point))  # type: ignore[arg-type]
        return target + sum((a > b) - (a < b) for a, b in pairs)
    likes = [near(field, one, point) for one in ranking.positive]  # type: ignore[arg-type]
    dislikes = [near(field, one, point) for one in ranking.negative]  # type: ignore[arg-type]
    if ranking.strategy is Strategy.SUM_SCORES:
        return sum(likes) - sum(dislikes)
    best, worst = max(likes, default=-np.inf), max(dislikes, default=-np.inf)
    return squash(best) if best > worst else -squash(worst)


def own_ids(ranking: Ranking) -> set[Any]:
    if isinstance(ranking, NearestId):
        return {ranking.id}
    if isinstance(ranking, Recommend):
        given: Sequence[Example | None] = [*ranking.positive, *ranking.negative]
    else:
        given = [ranking.target, *(one for pair in ranking.context for one in pair)]
    return {one for one in given if isinstance(one, int)}


VECTOR = DENSE[9] + 0.1
RANKINGS: list[Recommend | Discover] = [
    Recommend((3,), (), Strategy.BEST_SCORE),
    Recommend((3, 600, 42), (17, 5), Strategy.BEST_SCORE),
    Recommend((), (17, 501), Strategy.BEST_SCORE),
    Recommend((3, 600), (), Strategy.SUM_SCORES),
    Recommend((3, 600), (4,), Strategy.SUM_SCORES),
    Discover(3, ((8, 9), (600, 10))),
    Discover(3),
    Discover(None, ((8, 9), (600, 10), (1, 2))),
]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("ranking", RANKINGS, ids=range(len(RANKINGS)))
@pytest.mark.parametrize("group", [None, 1])
def test_scores_are_those_of_the_formulas(db: Database, field: str, ranking: Any, group: int | None) -> None:
    points = [i for i in range(N - (field != "dot")) if i not in own_ids(ranking) and (group is None or i % 3 == group)]
    points = [i for i in points if group is None or i < N - 1]
    leading = [ranking.target] if isinstance(ranking, Discover) else list(ranking.positive)
    if field == "terms" and leading and leading[0] is not None:  # as ever, points with an index in common
        points = [i for i in points if any(near(field, one, i) for one in leading)]
    expected = sorted(((score(field, ranking, i), i) for i in points), key=lambda one: (-one[0], one[1]))
    where = None if group is None else F("n").eq(group)
    for k in (1, 10, 300):
        hits = db.query(QueryRequest("c", ranking=ranking, using=field, k=k, filter=where, explain=True))
        known = {i: value for value, i in expected}
        np.testing.assert_allclose(hits.scores, [value for value, _ in expected[: len(hits)]], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose([known[int(i)] for i in hits.ids], hits.scores, rtol=1e-4, atol=1e-5)
        assert len(hits) == min(k, len(points)), SEED
        assert len(set(hits.ids.tolist())) == len(hits)


def test_a_stored_point_asks_like_its_vector(db: Database) -> None:
    for field in FIELDS:
        given: Any = DENSE[7]
        given = {"bits": BITS[7], "terms": terms(SPARSE[7]), "tokens": TokenRows.of([TOKENS[7]], 3, np.float32)}.get(
            field, given
        )
        wanted = [hit for hit in db.query(QueryRequest("c", given, field, k=31)) if hit.id != 7][:30]
        assert list(db.query(QueryRequest("c", ranking=NearestId(7), using=field, k=30))) == wanted


@pytest.mark.parametrize("field", ["cosine", "dot", "l2"])
def test_the_average_is_one_query(db: Database, field: str) -> None:
    def unit(one: int | np.ndarray) -> np.ndarray:
        row = np.float64(DENSE[one] if isinstance(one, int) else one)
        return row / np.linalg.norm(row) if field == "cosine" else row

    likes, dislikes = [3, 600, VECTOR], [17]
    mean = sum(map(unit, likes)) / 3
    for negative, query in ([], mean), (dislikes, 2 * mean - unit(17)):
        ranking = Recommend(tuple(likes), tuple(negative))
        hits = db.query(QueryRequest("c", ranking=ranking, using=field, k=20))
        plain = db.query(QueryRequest("c", query.astype(np.float32), field, k=30))
        wanted = [hit for hit in plain if hit.id not in {3, 600, *negative}][:20]
        assert hits.ids.tolist() == [hit.id for hit in wanted]
        np.testing.assert_allclose(hits.scores, [hit.score for hit in wanted], rtol=1e-5)


def test_sparse_vectors_are_averaged(db: Database) -> None:
    mean: dict[int, float] = {}
    for one, weight in ((3, 1.0), (600, 1.0), (17, -1.0)):
        for term, value in SPARSE[one].items():
            mean[term] = mean.get(term, 0.0) + weight * value
    hits = db.query(QueryRequest("c", ranking=Recommend((3, 600), (17,)), using="terms", k=20))
    plain = db.query(QueryRequest("c", terms(mean), "terms", k=30))
    assert [(hit.id, hit.score) for hit in hits] == [(h.id, h.score) for h in plain if h.id not in (3, 600, 17)][:20]


def test_examples_stand_among_stages(db: Database) -> None:
    best = Recommend((3, 600), (17,), Strategy.BEST_SCORE)
    pool = [Prefetch(DENSE[3], "l2", k=30), Prefetch(ranking=NearestId(600), using="dot", k=30)]
    found = {hit.id for one in pool for hit in db.query(QueryRequest("c", one.vector, one.using, k=30,
                                                                     ranking=one.ranking))}  # fmt: skip
    hits = db.query(QueryRequest("c", ranking=best, using="cosine", prefetch=pool, k=100))
    wanted = {i for i in found if i not in (3, 600, 17, N - 1)}
    assert set(hits.ids.tolist()) == wanted
    np.testing.assert_allclose(hits.scores, [score("cosine", best, int(i)) for i in hits.ids], rtol=1e-4, atol=1e-5)
    limit = float(hits.scores[4])
    some = db.query(QueryRequest("c", ranking=best, using="cosine", prefetch=pool, k=100, score_threshold=limit))
    assert some.ids.tolist() == hits.ids[:5].tolist()
    legs = [Prefetch(ranking=best, using="l2", k=20), Prefetch(DENSE[3], "dot", k=20)]
    fused = db.query(QueryRequest("c", prefetch=legs, fusion=Fusion(), k=40))
    assert fused.legs is not None
    for hit, scores in zip(fused, fused.legs, strict=True):
        if 0 in scores:
            assert scores[0] == pytest.approx(score("l2", best, int(str(hit.id))), rel=1e-4, abs=1e-5)
    spread = db.query(QueryRequest("c", ranking=Recommend((3,)), using="l2", mmr=Mmr(0.0, 20), k=5))
    assert spread.ids.tolist() == db.query(QueryRequest("c", ranking=Recommend((3,)), using="l2", k=5)).ids.tolist()


ZERO = Recommend((DENSE[0],), (DENSE[0] * 2,))


@pytest.mark.parametrize(
    ("ranking", "using", "kind", "reason", "path"),
    [
        (NearestId(5_000), "l2", NotFound, "POINT_NOT_FOUND", None),
        (NearestId(N - 1), "l2", NotFound, "VECTOR_NOT_FOUND", None),
        (NearestId(-1), "l2", InvalidArgument, "BAD_ID", "nearest_id"),
        (Recommend(), "l2", InvalidArgument, "BAD_ARGUMENT", "recommend.positive"),
        (Recommend((), (1,)), "l2", InvalidArgument, "BAD_ARGUMENT", "recommend.positive"),
        (Recommend((1,)), "bits", InvalidArgument, "BAD_ARGUMENT", "recommend.strategy"),
        (Recommend((1,)), "tokens", InvalidArgument, "BAD_ARGUMENT", "recommend.strategy"),
        (Recommend((1, DENSE[0][:2])), "l2", InvalidArgument, "DIMENSION_MISMATCH", "recommend.positive[1]"),
        (Recommend((1,) * 257), "l2", InvalidArgument, "LIMIT_EXCEEDED", "examples count"),
        (Discover(), "l2", InvalidArgument, "BAD_ARGUMENT", "discover"),
        (Discover(1, ((2, True),)), "l2", InvalidArgument, "BAD_ID", "discover.context[0].negative"),
        (Recommend((DENSE[0],), (-DENSE[0], DENSE[0] * 3, DENSE[0] * 3)), None, InvalidArgument,
         "VECTOR_NAME_UNKNOWN", "using"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    db: Database, ranking: Ranking, using: str, kind: type[Any], reason: str, path: str | None
) -> None:
    with pytest.raises(kind) as caught:
        db.query(QueryRequest("c", ranking=ranking, using=using))
    assert caught.value.reason == reason
    assert [found for found, _ in caught.value.field_violations] == ([] if path is None else [path])


def test_a_vector_and_examples_are_one_too_many(db: Database) -> None:
    with pytest.raises(InvalidArgument, match="both given"):
        db.query(QueryRequest("c", DENSE[0], "l2", ranking=NearestId(1)))
    with pytest.raises(InvalidArgument, match="both given"):
        db.query(QueryRequest("c", prefetch=[Prefetch(DENSE[0], "l2")], fusion=Fusion(), ranking=NearestId(1)))
    with pytest.raises(InvalidArgument, match="several vectors"):
        db.query(QueryRequest("c", ranking=RANKINGS[0], using="l2", mmr=Mmr()))


def test_texts_are_examples_by_their_words(reopen: Callable[..., Database]) -> None:
    db = reopen()
    text = VectorField(VectorKind.TEXT, 0, Metric.BM25, analysis=Analysis())
    db.create_collection("t", Schema({"t": text}))
    texts = [
        "red apples and pears",
        "green apples",
        "pears in autumn",
        "blue sky",
        "red sky at night",
        "apples, apples",
    ]
    db.write(UpsertRequest("t", PointBatch(list(range(6)), {"t": VectorBatch(TextRows(texts))})))
    plain = {i: {h.id: h.score for h in db.query(QueryRequest("t", TextRows([texts[i]]), k=6))} for i in (0, 4)}
    near = [point for point in plain[0] if point != 0]
    assert db.query(QueryRequest("t", ranking=NearestId(0))).ids.tolist() == near
    hits = db.query(QueryRequest("t", ranking=Recommend((0,), (4,), Strategy.BEST_SCORE)))
    for hit in hits:
        best, worst = plain[0][hit.id], plain[4].get(hit.id, 0.0)
        assert hit.score == pytest.approx(squash(best) if best > worst else -squash(worst))
    assert set(hits.ids.tolist()) == set(near) - {4}


@pytest.mark.parametrize("sealed", [False, True])
def test_points_without_the_vector_are_like_nothing(sealed: bool) -> None:
    """Neither those that a prefetch found by another field, nor those whose multi-vector has no token."""
    with Database.open(None) as db:
        db.create_collection("c", SCHEMA)
        some = np.arange(8) % 2 == 0
        tokens = [TOKENS[i] if some[i] else np.empty((0, 3), np.float32) for i in range(8)]
        vectors = {"dot": VectorBatch(DENSE[:8]), "tokens": VectorBatch(TokenRows.of(tokens, 3, np.float32))}
        vectors["l2"] = VectorBatch(np.where(some[:, None], DENSE[:8], 0), some)
        db.write(UpsertRequest("c", PointBatch(list(range(8)), vectors)))
        if sealed:
            db.wait_operation(db.compact("c").id, 30)
        every = [Prefetch(DENSE[0], "dot", k=100)]
        of = {"l2": [DENSE[20], DENSE[21]], "tokens": [TokenRows.of([TOKENS[i]], 3, np.float32) for i in (20, 21)]}
        for field, (one, other) in of.items():
            for ranking in (
                Recommend((one,), (other,), Strategy.BEST_SCORE),
                Recommend((one,), (), Strategy.SUM_SCORES),
                Recommend((), (one, other), Strategy.BEST_SCORE),
                Discover(one, ((other, one),)),
                Discover(None, ((one, other),)),
            ):
                for prefetch in ([], every):
                    hits = db.query(QueryRequest("c", using=field, ranking=ranking, k=100, prefetch=prefetch))
                    assert sorted(hits.ids.tolist()) == [0, 2, 4, 6], (field, ranking, prefetch)
