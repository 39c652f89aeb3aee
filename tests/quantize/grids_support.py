"""Estimates of every row and pairs of vectors with a known cosine, for quantizers that are scanned by tables."""

from __future__ import annotations

import numpy as np

from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.quantize.base import Codes, Encoded, Lists, Probes, Quantizer
from vecstore.schema import Metric


def one_list(n: int) -> Lists:
    return Lists(np.array([0, n]), np.arange(n, dtype=np.uint32))


def lists_of(homes: np.ndarray, nlist: int) -> Lists:
    """Rows by the list they are in."""
    counts = np.bincount(homes, minlength=nlist)
    return Lists(np.append(0, np.cumsum(counts)), np.argsort(homes, kind="stable").astype(np.uint32))


def probes_of(metric: Metric, queries: np.ndarray, centroids: np.ndarray) -> Probes:
    """All lists for all queries; centroids (nlist, dim)."""
    apart = queries[:, None, :].astype(np.float64) - centroids
    squares = (apart**2).sum(axis=2)
    add = squares if metric is Metric.L2 else -(queries.astype(np.float64) @ centroids.T)
    lists = np.tile(np.arange(len(centroids), dtype=np.int32), (len(queries), 1))
    return Probes(lists, add.astype(np.float32), np.sqrt(squares).astype(np.float32))


def estimates(codes: Codes, queries: np.ndarray, probes: Probes, n: int) -> np.ndarray:
    """The estimated distance of every row to every query (nq, n), by the law."""
    found = codes.search(NumpyKernels(), queries, probes, 1, n, None, 0.0)
    out = np.empty((len(queries), n), np.float64)
    np.put_along_axis(out, found.rows, found.distances.astype(np.float64), axis=1)
    return out


def exact(metric: Metric, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    q, x = queries.astype(np.float64), rows.astype(np.float64)
    return -(q @ x.T) if metric is Metric.DOT else ((q[:, None] - x) ** 2).sum(axis=2)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def pairs(rng: np.random.Generator, n: int, dim: int, cosine: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """n pairs of unit vectors with this cosine, in random directions."""
    q = unit(rng.standard_normal((n, dim)))
    beside = rng.standard_normal((n, dim))
    beside -= (beside * q).sum(axis=1, keepdims=True) * q
    cosine = np.broadcast_to(cosine, n)[:, None]
    return q, unit(cosine * q + np.sqrt(1 - cosine**2) * unit(beside))


def pair_estimates(quantizer: Quantizer, rows: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The estimate of <x_i, q_i>: what is decoded carries the unbiased scale."""
    decoded = quantizer.decode(quantizer.encode(rows, None), None)
    return (decoded.astype(np.float64) * queries).sum(axis=1)


def assert_same_codes(a: Encoded, b: Encoded) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert a[name].tobytes() == b[name].tobytes(), name


def check_estimates_are_what_the_code_says(
    quantizer: Quantizer, metric: Metric, rng: np.random.Generator, relative: float
) -> None:
    """In lists and flat: scanning the packed codes gives |q - c|^2 + |r|^2 - 2 <d, q - c>, or -<q, c> - <r, c> -
    <d, q - c>, where d is the decoded residual. Rows that are their list's centroid come out exact."""
    dim = quantizer.dim
    centroids = (rng.standard_normal((5, dim)) * 0.3).astype(np.float32)
    homes = rng.integers(0, 5, 150)
    rows = (centroids[homes] + rng.standard_normal((150, dim)) / np.sqrt(dim)).astype(np.float32)
    rows[:3] = centroids[homes[:3]]
    queries = unit(rng.standard_normal((4, dim)))
    encoded = quantizer.encode(rows, centroids[homes])
    lists = lists_of(homes, 5)
    codes = quantizer.open(quantizer.pack(encoded, lists), lists)
    got = estimates(codes, queries, probes_of(metric, queries, centroids), len(rows))
    c, x, q = centroids[homes].astype(np.float64), rows.astype(np.float64), queries.astype(np.float64)
    decoded = quantizer.decode(encoded, centroids[homes]).astype(np.float64) - c
    crossing = np.einsum("nd,qnd->qn", decoded, q[:, None] - c)
    if metric is Metric.L2:
        want = ((q[:, None] - c) ** 2).sum(axis=2) + ((x - c) ** 2).sum(axis=1) - 2 * crossing
    else:
        want = -(q @ c.T) - ((x - c) * c).sum(axis=1) - crossing
    assert np.abs(got - want).max() <= relative * np.abs(want).max()
    assert np.abs(got - exact(metric, queries, rows))[:, :3].max() <= relative * np.abs(want).max()
