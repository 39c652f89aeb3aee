"""Shared by the tests of lists: a quantizer that loses nothing, data in clusters, exact answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from vecstore.errors import Corruption
from vecstore.index.base import Progress
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.select import get_kernels
from vecstore.quantize.base import Codes, Encoded, Found, Lists, Probes, Quantizer
from vecstore.schema import DataType, Metric, VectorField, VectorKind


def silent(phase: str, done: int, total: int) -> None:
    """A progress that nobody watches."""


def clustered(rng: np.random.Generator, n: int, dim: int, clusters: int = 30, spread: float = 0.5) -> np.ndarray:
    centres = rng.standard_normal((clusters, dim))
    weights = rng.dirichlet(np.full(clusters, 0.7))
    rows = centres[rng.choice(clusters, n, p=weights)] + spread * rng.standard_normal((n, dim))
    return rows.astype(np.float32)


def stored(field: VectorField, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Float32 rows as the field stores them, and their inverse norms where it has them."""
    if field.datatype is DataType.BFLOAT16:
        rows = (rows.view(np.uint32) >> 16).astype(np.uint16)
    rows = np.ascontiguousarray(rows.astype(field.storage_dtype, copy=False))
    if field.metric is not Metric.COSINE:
        return rows, None
    norms = np.empty(len(rows), np.float32)
    NumpyKernels().inverse_norms(rows, norms)
    return rows, norms


def dense(dim: int, metric: Metric, datatype: DataType = DataType.FLOAT32) -> VectorField:
    return VectorField(VectorKind.DENSE, dim, metric, datatype)


def exact(
    field: VectorField, queries: np.ndarray, rows: np.ndarray, norms: np.ndarray | None, k: int, allowed: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    out = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    get_kernels().scan(field.metric, queries, rows, norms, allowed, *out)
    return out


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found[:, :, None] == truth[:, None, :]).any(axis=1).mean())


class ResidualCodes(Codes):
    def __init__(self, metric: Metric, arrays: Mapping[str, np.ndarray], lists: Lists) -> None:
        self.metric, self.arrays, self.lists = metric, arrays, lists
        if len(arrays["values"]) != len(lists.rows):
            raise Corruption("residuals do not fit the lists")

    def search(self, kernels, queries, probes: Probes, k, m, allowed, eps) -> Found:  # type: ignore[no-untyped-def]
        rows = np.full((len(queries), m), -1, np.int64)
        distances = np.full((len(queries), m), np.inf, np.float32)
        scanned = 0
        factor = 2 if self.metric is Metric.L2 else 1
        for q, query in enumerate(queries):
            found_rows, found = [], []
            for number, add in zip(probes.lists[q], probes.add[q], strict=True):
                if number >= 0:
                    part = slice(self.lists.offsets[number], self.lists.offsets[number + 1])
                    listed = self.lists.rows[part].astype(np.int64)
                    estimate = add + self.arrays["add"][part] - factor * (self.arrays["values"][part] @ query)
                    if allowed is not None:
                        kept = (allowed[listed >> 6] >> (listed & 63).astype(np.uint64)) & np.uint64(1) == 1
                        listed, estimate = listed[kept], estimate[kept]
                    scanned += part.stop - part.start
                    found_rows.append(listed)
                    found.append(estimate)
            all_rows, all_found = np.concatenate([[], *found_rows]), np.concatenate([[], *found])
            best = np.lexsort((all_rows, all_found))[:m]
            rows[q, : len(best)], distances[q, : len(best)] = all_rows[best], all_found[best]
        return Found(rows, distances, {"rows_scanned": int(scanned)})


class Residuals(Quantizer):
    """Residuals in float32: estimates are exact up to rounding, if lists add what they must."""

    name = "float16"  # stands in for a quantizer without parameters
    code_bytes = 4.0

    def __init__(self, metric: Metric, dim: int) -> None:
        self.metric, self.dim = metric, dim

    @classmethod
    def train(cls, spec, metric, sample, centroids, seed) -> Self:  # type: ignore[no-untyped-def]
        return cls(metric, sample.shape[1])

    def encode(self, rows: np.ndarray, centroids: np.ndarray | None) -> Encoded:
        centroids = np.zeros_like(rows) if centroids is None else centroids
        values = rows - centroids
        add = np.zeros(len(rows), np.float32)
        if self.metric is Metric.L2:
            add = (values * values).sum(axis=1) + 2 * (values * centroids).sum(axis=1)
        return {"values": values, "add": add}

    def decode(self, encoded: Encoded, centroids: np.ndarray | None) -> np.ndarray:
        return encoded["values"] + (0 if centroids is None else centroids)

    def pack(self, encoded: Encoded, lists: Lists) -> dict[str, np.ndarray]:
        return {name: array[lists.rows] for name, array in encoded.items()}

    def open(self, arrays: Mapping[str, np.ndarray], lists: Lists) -> Codes:
        return ResidualCodes(self.metric, arrays, lists)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"dim": np.array([self.dim])}

    @classmethod
    def from_arrays(cls, metric: Metric, arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(metric, int(arrays["dim"][0]))


__all__ = ["Progress", "Residuals", "clustered", "dense", "exact", "recall", "silent", "stored"]
