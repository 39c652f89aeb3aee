"""Product quantization: codes, factors, and estimates that one table serves for all lists."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from product_support import all_probes, clustered, distances, make_lists, recall, search, train

from vecstore import index_spec
from vecstore.errors import Corruption, InvalidArgument
from vecstore.kernels.select import available_backends, load_backend
from vecstore.quantize.product import ProductQuantizer
from vecstore.schema import Metric

pytest.importorskip("faiss", reason="faiss trains product quantizers and is not installed")

METRICS = [Metric.L2, Metric.DOT]
BITS = [4, 8]


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("backend", available_backends())
@pytest.mark.parametrize("dim", [24, 25])
def test_estimates_are_those_of_the_formula(backend: str, metric: Metric, bits: int, dim: int) -> None:
    """Lists around centroids far from zero: what IP adds per list and L2 adds per row must both be there."""
    rng = np.random.default_rng(dim)
    rows = clustered(rng, 700, dim, 5, 0.3)
    homes = rng.integers(0, 5, 700)
    centroids = np.stack([rows[homes == j].mean(axis=0) for j in range(5)])
    quantizer = train(metric, 8, bits, rows, centroids[homes])
    queries = rng.standard_normal((6, dim)).astype(np.float32)
    found = search(load_backend(backend), quantizer, rows, queries, 700, homes, centroids)

    encoded = quantizer.encode(rows, centroids[homes])
    code = quantizer.decode(encoded, None).astype(np.float64)
    c, r = centroids[homes].astype(np.float64), (rows - centroids[homes]).astype(np.float64)
    gain = (r * r).sum(1) / (r * code).sum(1)
    products = gain * ((queries[:, None, :] - c) * code).sum(2)  # <r, q - c>
    if metric is Metric.L2:
        exact = ((queries[:, None, :] - c) ** 2).sum(2) + (r * r).sum(1) - 2 * products
    else:
        exact = -(queries @ c.T) - (r * c).sum(1) - products
    order = np.argsort(found.rows, axis=1)
    assert (np.take_along_axis(found.rows, order, 1) == np.arange(700)).all()
    np.testing.assert_allclose(np.take_along_axis(found.distances, order, 1), exact, rtol=2e-5, atol=2e-4)
    assert found.counters["rows_scanned"] == 6 * 700


@pytest.mark.parametrize("bits", BITS)
def test_codes_are_the_nearest_centroids_in_any_batch(bits: int) -> None:
    rng = np.random.default_rng(2)
    rows = clustered(rng, 5000, 30, 3, 0.5)
    quantizer = train(Metric.L2, 7, bits, rows)
    encoded = quantizer.encode(rows, None)
    padded = np.zeros((5000, 35))
    padded[:, :30] = rows
    for j, codebook in enumerate(quantizer.codebooks.astype(np.float64)):
        part = padded[:, 5 * j : 5 * j + 5]
        squares = ((part[:, None, :] - codebook) ** 2).sum(2)
        chosen = squares[np.arange(5000), encoded["codes"][:, j]]
        assert (chosen <= squares.min(axis=1) * (1 + 1e-5) + 1e-6).all()
    assert quantizer.codebooks.shape == (7, 1 << bits, 5)
    for size in (1, 7, 300):
        for start in (0, 4000):
            part = quantizer.encode(rows[start : start + size], None)
            assert all((part[name] == encoded[name][start : start + size]).all() for name in encoded)


def test_padding_adds_nothing() -> None:
    rng = np.random.default_rng(3)
    rows = clustered(rng, 2000, 10, 3, 0.5)
    quantizer = train(Metric.L2, 4, 4, rows)
    assert quantizer.codebooks.shape == (4, 16, 3)
    assert (quantizer.codebooks[3, :, 1:] == 0).all()
    assert quantizer.decode(quantizer.encode(rows[:5], None), None).shape == (5, 10)
    assert quantizer.code_bytes == 4 / 2 + 8


@pytest.mark.parametrize(("bits", "subdim", "expected"), [(4, 4, 0.352), (4, 2, 0.110), (8, 4, 0.099), (8, 2, 0.0091)])
def test_distortion_of_gaussian_rows(bits: int, subdim: int, expected: float) -> None:
    """The share of the variance that codes leave, of independent components (pq-fastscan, section 2 and row 2)."""
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((90_000, 8)).astype(np.float32)
    quantizer = train(Metric.L2, 8 // subdim, bits, rows[:70_000])
    test = rows[70_000:]
    left = ((quantizer.decode(quantizer.encode(test, None), None) - test) ** 2).mean()
    assert 0.25 ** (bits / subdim) < left <= 1.02 * expected  # no code does better than Shannon's 4^-rate


@pytest.mark.parametrize("metric", METRICS)
def test_gain_of_the_scale(metric: Metric) -> None:
    """Scaling codes so that their error is orthogonal to the row finds more of the nearest than plain codes do."""
    rng = np.random.default_rng(5)
    rows = clustered(rng, 4000, 32, 40, 0.4)
    rows *= rng.uniform(0.7, 1.3, (4000, 1)).astype(np.float32)
    queries = rows[:100] + 0.3 * rng.standard_normal((100, 32)).astype(np.float32)
    quantizer = train(metric, 8, 4, rows)
    exact = distances(metric, queries, rows)
    found = search(load_backend("numpy"), quantizer, rows, queries, 10)
    plain = distances(metric, queries, quantizer.decode(quantizer.encode(rows, None), None))
    assert recall(found.rows, exact) > recall(np.argsort(plain, axis=1)[:, :10], exact) + 0.01


def test_fastscan_finds_what_float_tables_find() -> None:
    """Byte tables lose nothing that a rerank of four times as many would not find (pq-fastscan, row 3)."""
    rng = np.random.default_rng(6)
    rows = clustered(rng, 6000, 64, 50, 0.5)
    queries = clustered(rng, 60, 64, 50, 0.5)
    quantizer = train(Metric.L2, 32, 4, rows)
    exact = distances(Metric.L2, queries, rows)

    def reranked(backend: str) -> float:
        candidates = search(load_backend(backend), quantizer, rows, queries, 40).rows
        near = np.take_along_axis(exact, candidates, axis=1)
        return recall(np.take_along_axis(candidates, np.argsort(near, axis=1)[:, :10], axis=1), exact)

    by_float = reranked("numpy")
    for backend in available_backends():
        assert abs(reranked(backend) - by_float) <= 0.002


def test_arrays_bring_the_quantizer_back() -> None:
    rng = np.random.default_rng(7)
    rows = clustered(rng, 600, 18, 3, 0.5)
    quantizer = train(Metric.DOT, 4, 4, rows)
    again = ProductQuantizer.from_arrays(Metric.DOT, quantizer.arrays())
    one, two = quantizer.encode(rows, None), again.encode(rows, None)
    assert all((one[name] == two[name]).all() for name in one)
    assert (again.dim, again.bits, again.code_bytes) == (18, 4, quantizer.code_bytes)


@pytest.mark.parametrize(
    "damage",
    [
        {"dim": None},
        {"codebooks": None},
        {"dim": np.array([3, 3])},
        {"dim": np.array([21])},
        {"dim": np.array([3])},
        {"codebooks": np.zeros((4, 16), np.float32)},
        {"codebooks": np.zeros((4, 15, 5), np.float32)},
        {"codebooks": np.zeros((4, 16, 5))},
        {"codebooks": np.full((4, 16, 5), np.nan, np.float32)},
    ],
)
def test_damaged_arrays_are_refused(damage: dict[str, np.ndarray | None]) -> None:
    arrays = {"dim": np.array([18]), "codebooks": np.zeros((4, 16, 5), np.float32)}
    ProductQuantizer.from_arrays(Metric.L2, arrays)
    damaged = {name: value for name, value in (arrays | damage).items() if value is not None}
    with pytest.raises(Corruption, match=r"codebooks|dim"):
        ProductQuantizer.from_arrays(Metric.L2, damaged)


@pytest.mark.parametrize("m", [0, 9])
def test_subspaces_that_do_not_fit_are_refused(m: int) -> None:
    with pytest.raises(InvalidArgument, match=f"m={m}.* 8"):
        ProductQuantizer.train(index_spec.PQ(m), Metric.L2, np.ones((300, 8), np.float32), None, 0)


def test_few_rows_and_rows_that_are_all_alike() -> None:
    rows = np.ones((3, 8), np.float32)
    rows[0] = 0
    quantizer = train(Metric.L2, 2, 4, rows)
    found = search(load_backend("numpy"), quantizer, rows, rows[:2].copy(), 3)
    assert found.rows.tolist() == [[0, 1, 2], [1, 2, 0]]
    np.testing.assert_allclose(found.distances, [[0, 8, 8], [0, 0, 8]], atol=1e-5)
    with pytest.raises(InvalidArgument, match="0 rows"):
        train(Metric.L2, 2, 4, rows[:0])


def test_a_row_at_its_centroid_is_scored_exactly() -> None:
    rng = np.random.default_rng(8)
    rows = rng.standard_normal((40, 8)).astype(np.float32)
    for metric in METRICS:
        quantizer = train(metric, 4, 4, rows)
        found = search(load_backend("numpy"), quantizer, rows, rows[:3].copy(), 40, np.arange(40), rows)
        exact = np.sort(distances(metric, rows[:3], rows), axis=1)
        np.testing.assert_allclose(found.distances, exact, rtol=1e-5, atol=1e-5)


def test_without_faiss_the_message_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InvalidArgument, match=r"vecstore\[train\]"):
        train(Metric.L2, 2, 4, np.ones((20, 8), np.float32))


@pytest.mark.parametrize("bits", BITS)
def test_arrays_of_other_lists_are_refused(bits: int) -> None:
    rng = np.random.default_rng(9)
    rows = clustered(rng, 100, 8, 2, 0.5)
    quantizer = train(Metric.L2, 4, bits, rows)
    packed = quantizer.pack(quantizer.encode(rows, None), make_lists(np.zeros(100, np.int64), 1))
    with pytest.raises(Corruption, match="rows"):
        quantizer.open(packed, make_lists(np.arange(100) % 50, 50))
    for name in packed:
        with pytest.raises(Corruption, match=name):
            quantizer.open(packed | {name: packed[name].astype(np.int64)}, make_lists(np.zeros(100, np.int64), 1))
        with pytest.raises(Corruption, match=name):
            quantizer.open({other: packed[other] for other in packed if other != name},
                           make_lists(np.zeros(100, np.int64), 1))  # fmt: skip
    assert all_probes(Metric.L2, rows[:1], rows[:2]).lists.tolist() == [[0, 1]]
