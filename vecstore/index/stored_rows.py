"""Stored vectors read in batches as float32, of unit length under cosine: what an index learns from and encodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import DenseRows, Float32Array
from vecstore.schema import Metric, VectorField

BATCH = 16384


def as_float32(rows: NDArray[Any]) -> Float32Array:
    """A float32 copy of stored rows; uint16 is bfloat16, the high half of a float32."""
    if rows.dtype == np.uint16:
        return (rows.astype(np.uint32) << 16).view(np.float32)
    return rows.astype(np.float32)


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Never widens more than a batch, or the rows asked for."""

    field: VectorField
    rows: DenseRows
    inverse_norms: Float32Array | None  # cosine only

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def metric(self) -> Metric:
        """What distances between prepared vectors mean: cosine is the inner product of unit vectors."""
        return Metric.L2 if self.field.metric is Metric.L2 else Metric.DOT

    def take(self, numbers: NDArray[np.integer]) -> Float32Array:
        """The rows of these numbers, prepared; ascending numbers read mapped rows in order."""
        return self._prepared(as_float32(self.rows[numbers]), numbers)

    def batches(self, size: int = BATCH) -> Iterator[tuple[int, Float32Array]]:
        """(number of the first row, prepared rows), in order."""
        for low in range(0, len(self.rows), size):
            part = slice(low, low + size)
            yield low, self._prepared(as_float32(self.rows[part]), part)

    def _prepared(self, rows: Float32Array, which: slice | NDArray[np.integer]) -> Float32Array:
        if self.field.metric is Metric.COSINE and self.inverse_norms is not None:
            rows *= self.inverse_norms[which, None]
        return rows
