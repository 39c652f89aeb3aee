"""Data for tests of product quantization, and the search of opened codes over lists."""

from __future__ import annotations

import numpy as np

from vecstore import index_spec
from vecstore.kernels.base import Kernels
from vecstore.quantize.base import Found, Lists, Probes
from vecstore.quantize.product import ProductQuantizer
from vecstore.schema import Metric


def clustered(rng: np.random.Generator, n: int, dim: int, clusters: int, spread: float) -> np.ndarray:
    """Rows (n, dim) around random centres, with components of falling and correlated variance."""
    centres = rng.standard_normal((clusters, dim))
    mix = rng.standard_normal((dim, dim)) * (1 / np.sqrt(1 + np.arange(dim)))[:, None]
    rows = centres[rng.integers(0, clusters, n)] + spread * rng.standard_normal((n, dim)) @ mix
    return rows.astype(np.float32)


def make_lists(homes: np.ndarray, nlist: int) -> Lists:
    offsets = np.zeros(nlist + 1, np.int64)
    np.cumsum(np.bincount(homes, minlength=nlist), out=offsets[1:])
    return Lists(offsets, np.argsort(homes, kind="stable").astype(np.uint32))


def all_probes(metric: Metric, queries: np.ndarray, centroids: np.ndarray) -> Probes:
    """Every list, in the order of its number."""
    lists = np.broadcast_to(np.arange(len(centroids), dtype=np.int32), (len(queries), len(centroids)))
    squares = ((queries[:, None, :] - centroids) ** 2).sum(axis=2)
    add = squares if metric is Metric.L2 else -(queries @ centroids.T)
    return Probes(np.ascontiguousarray(lists), add.astype(np.float32), np.sqrt(squares).astype(np.float32))


def distances(metric: Metric, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    q, x = queries.astype(np.float64), rows.astype(np.float64)
    if metric is Metric.DOT:
        return -(q @ x.T)
    return (q**2).sum(1)[:, None] - 2 * q @ x.T + (x**2).sum(1)


def recall(found: np.ndarray, exact: np.ndarray) -> float:
    """The share of each query's k nearest by `exact` distances (nq, n) that `found` (nq, k) holds."""
    k = found.shape[1]
    nearest = np.argsort(exact, axis=1)[:, :k]
    hits = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(found, nearest, strict=True)]
    return float(np.mean(hits)) / k


def search(
    kernels: Kernels, quantizer: ProductQuantizer, rows: np.ndarray, queries: np.ndarray, k: int,
    homes: np.ndarray | None = None, centroids: np.ndarray | None = None,
) -> Found:  # fmt: skip
    """Encode, pack, open and search all lists; one list around zero without `centroids`."""
    origins = np.zeros((1, rows.shape[1]), np.float32) if centroids is None else centroids
    homes = np.zeros(len(rows), np.int64) if homes is None else homes
    lists = make_lists(homes, len(origins))
    encoded = quantizer.encode(rows, None if centroids is None else centroids[homes])
    codes = quantizer.open(quantizer.pack(encoded, lists), lists)
    return codes.search(kernels, queries, all_probes(quantizer.metric, queries, origins), k, k, None, 0.0)


def train(
    metric: Metric, m: int, bits: int, sample: np.ndarray, centroids: np.ndarray | None = None
) -> ProductQuantizer:
    spec = index_spec.PQ(m, bits)  # type: ignore[arg-type]
    return ProductQuantizer.train(spec, metric, sample, centroids, 1)
