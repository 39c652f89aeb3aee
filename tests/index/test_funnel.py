"""Funnel search: as exact as the stages allow, few bytes read, and what is stored fits together."""

from __future__ import annotations

import numpy as np
import pytest
from masks import bitmap

from vecstore import index_spec
from vecstore.errors import Corruption, InvalidArgument
from vecstore.index.base import SearchParams
from vecstore.index.flat import FlatIndex
from vecstore.index.funnel import FunnelIndex
from vecstore.index.registry import built_index
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.numpy_rows import widen
from vecstore.kernels.select import get_kernels
from vecstore.schema import DataType, Metric, VectorField, VectorKind

METRICS = [Metric.COSINE, Metric.DOT, Metric.L2]
DTYPES = [DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16]
DIM = 128


def nested(n: int, seed: int, dim: int = DIM) -> np.ndarray:
    """Vectors as a Matryoshka model gives them: what tells them apart stands first."""
    scales = np.arange(1, dim + 1) ** -0.7
    return (np.random.default_rng(seed).standard_normal((n, dim)) * scales).astype(np.float32)


def stored(rows: np.ndarray, datatype: DataType) -> np.ndarray:
    if datatype is DataType.BFLOAT16:
        return np.ascontiguousarray((rows.view(np.uint32) >> 16).astype(np.uint16))
    return rows.astype(datatype.value)


def make(
    rows: np.ndarray, metric: Metric, dims: tuple[int, ...], datatype: DataType = DataType.FLOAT32
) -> tuple[FunnelIndex, FlatIndex]:
    field = VectorField(VectorKind.DENSE, rows.shape[1], metric, datatype)
    rows = stored(rows, datatype)
    norms = None
    if metric is Metric.COSINE:
        norms = np.empty(len(rows), np.float32)
        NumpyKernels().inverse_norms(rows, norms)
    seen: list[tuple[str, int, int]] = []
    index = FunnelIndex.build(
        field, index_spec.Funnel(dims), rows, norms, get_kernels(), lambda *state: seen.append(state)
    )
    assert seen[-1][1] == seen[-1][2]
    return index, FlatIndex(field, rows, norms)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("datatype", DTYPES)
def test_distances_are_exact_and_recall_is_high(metric: Metric, datatype: DataType) -> None:
    funnel, flat = make(nested(3000, 1), metric, (16, 32, 64), datatype)
    queries = nested(20, 2)
    found, truth = (index.search(get_kernels(), queries, 10, None) for index in (funnel, flat))
    hits = [len(np.intersect1d(a, b)) for a, b in zip(found.rows, truth.rows, strict=True)]
    assert np.mean(hits) > 9
    for q in range(20):
        expected = dict(zip(truth.rows[q].tolist(), truth.distances[q].tolist(), strict=True))
        for row, distance in zip(found.rows[q].tolist(), found.distances[q].tolist(), strict=True):
            assert distance == expected.get(row, distance)
    assert (np.diff(found.distances, axis=1) >= 0).all()
    assert found.counters["rows_scanned"] == 20 * 3000
    assert found.counters["rows_refined"] == 20 * (4 * 80 + 2 * 80 + 80)


@pytest.mark.parametrize("metric", METRICS)
def test_enough_candidates_give_the_exact_answer(metric: Metric) -> None:
    funnel, flat = make(nested(900, 3), metric, (8, 24, 100))
    queries = nested(7, 4)
    found = funnel.search(get_kernels(), queries, 5, None, SearchParams(oversampling=180.0))
    truth = flat.search(get_kernels(), queries, 5, None)
    assert found.rows.tolist() == truth.rows.tolist()
    assert found.distances.tolist() == truth.distances.tolist()
    exact = funnel.search(get_kernels(), queries, 5, None, SearchParams(exact=True))
    assert exact.rows.tolist() == truth.rows.tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_estimates_are_the_last_prefix(metric: Metric) -> None:
    """Sums of stages are the distances between prefixes, and under cosine the prefix's own norm divides them."""
    rows, queries = nested(500, 5), nested(6, 6)
    rows[17] = 0
    queries[2] = 0
    funnel, _ = make(rows, metric, (8, 20, 50))
    found = funnel.search(get_kernels(), queries, 500, None, SearchParams(rescore=False))
    prefix, _ = make(rows[:, :50].copy(), metric, (8,))
    truth = prefix.search(get_kernels(), queries[:, :50].copy(), 500, None, SearchParams(exact=True))
    for q in range(6):
        by_row = np.empty(500)
        by_row[truth.rows[q]] = truth.distances[q]
        np.testing.assert_allclose(found.distances[q], by_row[found.rows[q]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [5, 20, 33, 100, DIM])
def test_truncated_queries(metric: Metric, dim: int) -> None:
    rows, queries = nested(600, 7), nested(5, 8)
    funnel, flat = make(rows, metric, (8, 20, 50))
    _, short = make(rows[:, :dim].copy(), metric, ())
    truth = short.search(get_kernels(), queries[:, :dim].copy(), 4, None)
    params = SearchParams(truncate_dim=dim, oversampling=150.0)
    for index in (funnel, flat):
        found = index.search(get_kernels(), queries, 4, None, params)
        assert found.rows.tolist() == truth.rows.tolist(), index.name
        np.testing.assert_allclose(found.distances, truth.distances, atol=1e-6)
        with pytest.raises(InvalidArgument, match=r"truncate_dim=129 is not in 1\.\.128"):
            flat.search(get_kernels(), queries, 4, None, SearchParams(truncate_dim=129))


def test_only_allowed_rows() -> None:
    funnel, flat = make(nested(1000, 9), Metric.COSINE, (16, 64))
    queries = nested(4, 10)
    mask = np.random.default_rng(0).random(1000) < 0.2
    found = funnel.search(get_kernels(), queries, 10, bitmap(mask))
    assert mask[found.rows].all()
    assert found.counters["rows_scanned"] == 4 * mask.sum()
    few = np.zeros(1000, bool)
    few[[3, 500, 999]] = True
    found, truth = (index.search(get_kernels(), queries, 5, bitmap(few)) for index in (funnel, flat))
    assert found.rows.tolist() == truth.rows.tolist()
    assert found.distances.tolist() == truth.distances.tolist()
    nothing = funnel.search(get_kernels(), queries, 5, bitmap(np.zeros(1000, bool)))
    assert (nothing.rows == -1).all()
    assert np.isposinf(nothing.distances).all()


def test_few_rows_and_no_rows() -> None:
    queries = nested(2, 12)
    for n in (0, 1, 3):
        funnel, flat = make(nested(n, 11), Metric.COSINE, (16, 64))
        found, truth = (index.search(get_kernels(), queries, 5, None) for index in (funnel, flat))
        assert found.rows.tolist() == truth.rows.tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_survives_a_restart(metric: Metric) -> None:
    rows, queries = nested(800, 13), nested(3, 14)
    funnel, flat = make(rows, metric, (16, 64, DIM))
    assert funnel.code_bytes == 64 * 4 + (8 if metric is Metric.COSINE else 0)
    arrays = funnel.arrays() | flat.arrays()
    field = VectorField(VectorKind.DENSE, DIM, metric)
    kind = built_index(index_spec.Funnel((16,)))
    again = kind.from_arrays(field, rows, arrays)
    before, after = (index.search(get_kernels(), queries, 5, None) for index in (funnel, again))
    assert before.rows.tolist() == after.rows.tolist()
    assert before.distances.tolist() == after.distances.tolist()
    for name, array in arrays.items():
        for bad in (array[:-1], array[None], array.astype(np.float16)):
            if name == "dims" and bad.ndim == 1 and bad.dtype == array.dtype:
                continue  # fewer stages: an index like any
            with pytest.raises(Corruption):
                kind.from_arrays(field, rows, arrays | {name: bad})
        if name == "familiar":
            continue  # which an older index does not have
        with pytest.raises(Corruption):
            kind.from_arrays(field, rows, {key: value for key, value in arrays.items() if key != name})
    for dims in ([64, 16], [0, 16], [16, 16], [16, 129]):
        with pytest.raises(Corruption, match="must ascend"):
            kind.from_arrays(field, rows, arrays | {"dims": np.array(dims)})


@pytest.mark.parametrize("dims", [(0, 8), (8, 8), (16, 8), (8, 129), (-1,)])
def test_bad_dims_are_told(dims: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgument, match=r"funnel\.dims=.* must ascend from 1 to at most 128") as caught:
        make(nested(10, 1), Metric.L2, dims)
    assert caught.value.reason == "BAD_INDEX_SPEC"


def test_oversampling_below_one_is_told() -> None:
    field = VectorField(VectorKind.DENSE, DIM, Metric.L2)
    spec = index_spec.Funnel((16,), oversampling=0.5)
    with pytest.raises(InvalidArgument, match=r"oversampling=0\.5"):
        FunnelIndex.build(field, spec, nested(10, 1), None, get_kernels(), lambda *_: None)


def test_matryoshka_recall_for_a_sixteenth_of_the_bytes() -> None:
    """Section 8, row 3: >= 99 % of full-dimensional recall@1 with <= 1/16 of the bytes, on nested synthetic vectors
    (queries are noisy copies of rows)."""
    dim, n, nq = 1024, 20_000, 200
    rows = nested(n, 15, dim)
    rng = np.random.default_rng(16)
    asked = rng.choice(n, nq, replace=False)
    noise = 0.35 * nested(nq, 17, dim)
    funnel, flat = make(rows, Metric.COSINE, (32, 64, 128, 256))
    queries = rows[asked] + noise
    full = flat.search(get_kernels(), queries, 1, None).rows[:, 0] == asked
    found = funnel.search(get_kernels(), queries, 1, None)
    hits = found.rows[:, 0] == asked
    assert hits.sum() >= 0.99 * full.sum(), (hits.sum(), full.sum())
    last = 64  # candidates of the last stage
    read = n * (32 + 1) * 4 + 8 * last * 64 * 4 + 4 * last * 64 * 4 + 2 * last * 128 * 4 + last * dim * 4
    assert found.counters["rows_refined"] == nq * (8 + 4 + 2 + 1) * last
    assert read <= n * dim * 4 / 16


def test_widths_read_back_as_stored() -> None:
    """Stages hold the stored values, whatever their type: no rounding of their own."""
    for datatype in DTYPES:
        funnel, _ = make(nested(50, 18), Metric.L2, (8, 30), datatype)
        parts = [funnel.arrays()[f"components.{place}"] for place in range(2)]
        together = np.concatenate([widen(part) for part in parts], axis=1)
        np.testing.assert_array_equal(together, widen(stored(nested(50, 18), datatype))[:, :30])


def test_prefixes_as_long_as_the_vectors_are_planned_as_the_scan_that_they_are() -> None:
    funnel, _ = make(nested(200, 1, 16), Metric.L2, (16,))
    for params in (SearchParams(), SearchParams(recall_target=0.9), SearchParams(rescore=False)):
        (way,) = funnel.ways(get_kernels(), 10, 200, params)
        found = funnel.search(get_kernels(), nested(1, 2, 16), 10, None, params)
        assert (way.strategy, way.chosen, way.recall) == (found.strategy, True, 1.0) == ("exact_scan", True, 1.0)


def test_a_plan_promises_what_the_answer_does() -> None:
    funnel, _ = make(nested(3_000, 1), Metric.COSINE, (16,))
    targets = [SearchParams(recall_target=target) for target in (0.8, 0.999, 1.0)]
    for params in (SearchParams(), SearchParams(rescore=False), *targets):
        (way,) = (one for one in funnel.ways(get_kernels(), 10, 3_000, params) if one.chosen)
        found = funnel.search(get_kernels(), nested(1, 2), 10, None, params)
        assert (way.strategy, way.recall) == (found.strategy or "funnel", found.recall)
