"""Flat indexes: exact scans of all allowed rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from vecstore.errors import Corruption
from vecstore.index.base import Candidates, Index
from vecstore.kernels.base import Bitmap, Float32Array, Kernels
from vecstore.schema import Metric, VectorField, VectorKind


class FlatIndex(Index):
    """Exact search over stored rows, dense or packed binary. Building one costs nothing: it holds references."""

    name: ClassVar[str] = "flat"

    def __init__(self, field: VectorField, rows: np.ndarray, inverse_norms: Float32Array | None = None) -> None:
        self.field = field
        self.rows = rows
        self.inverse_norms = inverse_norms
        self.ntotal = len(rows)

    def search(self, kernels: Kernels, queries: np.ndarray, k: int, allowed: Bitmap | None) -> Candidates:
        out_rows = np.empty((len(queries), k), dtype=np.int64)
        distances = np.empty((len(queries), k), dtype=np.float32)
        if self.field.kind is VectorKind.BINARY:
            kernels.hamming_scan(queries, self.rows, allowed, out_rows, distances)
        else:
            metric = self.field.metric
            kernels.scan(metric, queries, self.rows, self.inverse_norms, allowed, out_rows, distances)
        return Candidates(out_rows, distances)

    def arrays(self) -> dict[str, np.ndarray]:
        return {} if self.inverse_norms is None else {"inverse_norms": self.inverse_norms}

    @classmethod
    def from_arrays(cls, field: VectorField, rows: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Self:
        norms = arrays.get("inverse_norms")
        if (norms is None) != (field.metric is not Metric.COSINE) or (
            norms is not None and norms.shape != (len(rows),)
        ):
            raise Corruption(f"inverse_norms do not fit the {len(rows)} rows of a {field.metric.value} field")
        return cls(field, rows, norms)
