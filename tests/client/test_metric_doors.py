"""Metrics of the user's own against numpy, through every client; servers and what functions do wrong are refused."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import vecstore
from vecstore import Binary, ByMetric, Dense, F, InvalidArgument, Prefetch, Unimplemented, register_metric
from vecstore.engine import by_metric
from vecstore.formula import score
from vecstore.kernels.stop import current_stop

SEED, N, DIM = 20261127, 300, 8
RNG = np.random.default_rng(SEED)
VECTORS = RNG.integers(-5, 6, size=(N, DIM)).astype(np.float32)  # many equal distances
PAYLOADS = [{"n": i % 7} for i in range(N)]
QUERY = RNG.integers(-5, 6, size=DIM).astype(np.float32)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "QUERIES.md"


def chebyshev(queries: np.ndarray, rows: np.ndarray) -> Any:
    return np.abs(queries[:, None, :] - rows[None, :, :]).max(axis=2)


@numba.njit(nogil=True)  # type: ignore[misc]
def canberra(queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    found = np.zeros((len(queries), len(rows)))
    for query in range(len(queries)):
        for row in range(len(rows)):
            for x, y in zip(queries[query], rows[row]):  # noqa: B905  # Numba's zip has no strict
                if x != y:
                    found[query, row] += abs(x - y) / (abs(x) + abs(y))
    return found


def asymmetric(queries: np.ndarray, rows: np.ndarray) -> Any:
    """Neither symmetric nor at least 0."""
    return (rows[None, :, :] - queries[:, None, :]).sum(axis=2).astype(np.int64)


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "chebyshev": chebyshev,
    "canberra": canberra,
    "asymmetric": asymmetric,
}


@pytest.fixture(autouse=True)
def registered() -> None:
    for name, function in METRICS.items():
        register_metric(name, function)


@pytest.fixture
def docs(db: Any) -> Any:
    docs = db.create_collection("docs", {"v": Dense(DIM, metric="l2"), "w": Dense(DIM), "b": Binary(16)})
    some = VECTORS[:200]
    unit = some + np.float32(0.5)
    docs.upsert(range(200), {"v": some, "w": unit, "b": np.zeros((200, 2), np.uint8)}, PAYLOADS[:200])
    docs.compact()
    docs.upsert(range(200, N), {"v": VECTORS[200:]}, PAYLOADS[200:])
    return docs


def expected(name: str, among: list[int]) -> list[tuple[int, float]]:
    distances = np.asarray(METRICS[name](QUERY[None], VECTORS[among]))[0].astype(np.float32)
    return sorted(zip(among, distances.tolist(), strict=True), key=lambda one: (one[1], one[0]))


def found(hits: Any) -> list[tuple[int, float]]:
    return list(zip(hits.ids.tolist(), hits.scores.tolist(), strict=True))


def is_remote(docs: Any) -> bool:
    try:
        docs.query(ByMetric(QUERY, "chebyshev"), using="v")
    except Unimplemented:
        return True
    return False


def test_every_metric_is_exact_through_embedded_doors_and_refused_by_servers(
    docs: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = request.node.callspec.params["db"].startswith(("grpc", "http"))
    assert is_remote(docs) == remote
    if remote:
        inner = Prefetch(vector=ByMetric(QUERY, "chebyshev"), using="v")
        with pytest.raises(Unimplemented, match="'chebyshev' is a function of this process"):
            docs.query(score(), prefetch=[inner])
        return
    monkeypatch.setattr(by_metric, "BLOCK_BYTES", 4 * DIM * 33)  # blocks end within segments
    everything = list(range(N))
    for name in METRICS:
        for k in (1, 10, N, 2 * N):
            hits = docs.query(ByMetric(QUERY.tolist(), name), k, using="v")
            assert found(hits) == expected(name, everything)[:k], name
        assert (hits.quality.est_recall, hits.quality.strategy) == (1.0, "bymetric(exact_scan)")
        some = docs.query(ByMetric(QUERY, name), 20, using="v", filter=F("n").eq(3), offset=2)
        assert found(some) == expected(name, [i for i in everything if i % 7 == 3])[2:22]
        limit = expected(name, everything)[40][1]
        within = docs.query(ByMetric(QUERY, name), N, using="v", score_threshold=limit)
        assert found(within) == [one for one in expected(name, everything) if one[1] <= limit]
        inner = Prefetch(vector=ByMetric(QUERY, name), using="v", k=N, score_threshold=limit)
        assert len(docs.query(score(), N, prefetch=[inner])) == len(within)
    near = docs.query(QUERY, 50, using="v").ids.tolist()
    leg = Prefetch(vector=QUERY, using="v", k=50)
    again = docs.query(ByMetric(QUERY, "canberra"), 10, using="v", prefetch=[leg], explain=True)
    assert found(again) == expected("canberra", near)[:10]
    assert (again.explain["metric"], again.explain["rows_scanned"]) == ("canberra", 50)
    inner = Prefetch(vector=ByMetric(QUERY, "chebyshev"), using="v", k=30)
    ranked = docs.query(-score(), 30, prefetch=[inner])
    nearest = expected("chebyshev", everything)[:30]
    assert found(ranked) == [(one, -distance) for one, distance in nearest]
    docs.delete([nearest[0][0]])
    assert found(docs.query(ByMetric(QUERY, "chebyshev"), 29, using="v")) == nearest[1:30]
    last = expected("chebyshev", everything)[-1]
    told = docs.why_not(last[0], ByMetric(QUERY, "chebyshev"), 5, using="v")
    assert (told["verdict"], told["rank"], told["score"]) == ("rank", N - 1, last[1])
    groups = docs.query_groups(ByMetric(QUERY, "chebyshev"), 3, using="v", group_by="n", group_size=1)
    assert groups.groups[0].hits[0].id == nearest[1][0]


def test_functions_get_copies_of_what_is_stored(docs: Any) -> None:
    """Of points that have the vector, as it was given, also where the field is of cosines."""
    if is_remote(docs):
        return
    seen = []

    def spy(queries: np.ndarray, rows: np.ndarray) -> Any:
        seen.append((queries.copy(), rows.copy()))
        rows[:] = 9
        return np.arange(len(rows))[None]

    register_metric("spy", spy)
    for _ in range(2):
        hits = docs.query(ByMetric(QUERY, "spy"), N, using="w")
        assert found(hits) == [(i, i) for i in range(200)]
    assert len(seen) == 2
    for queries, rows in seen:
        assert (queries.dtype, rows.dtype) == (np.float32, np.float32)
        np.testing.assert_array_equal(queries, QUERY[None])
        np.testing.assert_array_equal(rows, VECTORS[:200] + np.float32(0.5))


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda q, r: np.zeros(len(r)), "shape (300,), not real numbers of shape (1, "),
        (lambda q, r: np.zeros((len(r), len(q))), "not real numbers of shape"),
        (lambda q, r: None, "gave object"),
        (lambda q, r: np.zeros((1, len(r)), complex), "gave complex128"),
        (lambda q, r: np.zeros((1, len(r)), bool), "gave bool"),
        (lambda q, r: np.full((1, len(r)), np.nan), "gave nan, which is not finite"),
        (lambda q, r: np.full((1, len(r)), -np.inf), "gave -inf"),
        (lambda q, r: np.full((1, len(r)), 1e39), "gave 1e+39, which is not finite in float32"),
        (lambda q, r: 1 // 0, "raised ZeroDivisionError"),
    ],
)
def test_what_functions_do_wrong_is_told(function: Any, told: str) -> None:
    with vecstore.connect(":memory:") as db:
        docs = db.create_collection("docs", Dense(DIM, metric="l2"))
        docs.upsert(range(N), VECTORS)
        register_metric("wrong", function)
        with pytest.raises(InvalidArgument) as caught:
            docs.query(ByMetric(QUERY, "wrong"))
        assert caught.value.reason == "BAD_METRIC"
        assert "metric 'wrong'" in caught.value.message
        assert told in caught.value.message


def test_a_slow_function_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def slow(queries: np.ndarray, rows: np.ndarray) -> Any:
        calls.append(len(rows))
        stop = current_stop()
        assert stop is not None
        time.sleep(max(0.0, stop.deadline - time.monotonic()))
        return np.zeros((1, len(rows)))

    monkeypatch.setattr(by_metric, "BLOCK_BYTES", 1)
    register_metric("slow", slow)
    with vecstore.connect(":memory:") as db:
        docs = db.create_collection("docs", Dense(DIM, metric="l2"))
        docs.upsert(range(N), VECTORS)
        for timeout_s in (0.2, 2, 20):  # a busy machine may not come to begin in the first
            with pytest.raises(vecstore.DeadlineExceeded):
                docs.query(ByMetric(QUERY, "slow"), timeout_s=timeout_s)
            if calls:
                break
    assert len(calls) == 1


def test_what_is_asked_wrongly_is_told(docs: Any) -> None:
    if is_remote(docs):
        return

    def refused(path: str, *args: Any, **options: Any) -> str:
        with pytest.raises(InvalidArgument) as caught:
            docs.query(*args, **options)
        assert path in [one for one, _ in caught.value.field_violations], caught.value
        return caught.value.message

    assert "'no' is not registered" in refused("by_metric.metric", ByMetric(QUERY, "no"), using="v")
    assert "this is a binary field" in refused("by_metric", ByMetric(np.zeros(2, np.uint8), "canberra"), using="b")
    assert "dim=2" in refused("by_metric.vector", ByMetric([1.0, 2.0], "canberra"), using="v")
    assert "compares all points" in refused("params", ByMetric(QUERY, "canberra"), using="v", exact=True)
    assert "metric of the user's own" in refused(
        "mmr", ByMetric(QUERY, "canberra"), using="v", mmr=vecstore.MMR(diversity=0.5)
    )


@pytest.mark.parametrize(
    ("name", "function"), [("", chebyshev), ("x" * 101, chebyshev), (3, chebyshev), ("cosine", chebyshev), ("f", 1)]
)
def test_what_is_registered_is_checked(name: Any, function: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        register_metric(name, function)
    assert caught.value.reason == "BAD_METRIC"


def test_the_example_of_the_documents_runs(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    (block,) = [one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "register_metric" in one]
    (tmp_path / "example.py").write_text(block, encoding="utf-8")
    subprocess.run([sys.executable, str(tmp_path / "example.py")], check=True, timeout=240)
