"""Half a byte a dimension, with a range for each: a row is centroid + mid + step * (nibble - 7.5).

A residual's 16 levels are too few for heavy tails: rotate first, and leave out a little at each end. The levels are the
same for all dims (2 * nibble - 15, in half steps), so that a scan keeps them in one register.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vecstore import index_spec
from vecstore.index_spec import Quantizer as QuantizerSpec
from vecstore.kernels.base import Float32Array
from vecstore.kernels.encode import row_dots
from vecstore.kernels.places import contiguous, like
from vecstore.quantize.base import Codes, Encoded, Lists, in_batches
from vecstore.quantize.int8 import RangeQuantizer
from vecstore.quantize.row_codes import Folding, RowSearch, pack_rows
from vecstore.quantize.scalar import gains, residual_factors, residuals_of
from vecstore.schema import Metric

_BATCH = 8192
_FACTOR_BYTES = 8
LEVELS = np.arange(-15, 17, 2, dtype=np.int8)


class Int4Quantizer(RangeQuantizer):
    name: ClassVar[str] = "int4"
    levels = 16

    def __init__(self, metric: Metric, low: Float32Array, step: Float32Array, seen: NDArray[np.int64]) -> None:
        super().__init__(metric, low, step, seen)
        self.mid = low + np.float32(7.5) * step
        self.code_bytes = (self.dim + 7) // 8 * 4 + _FACTOR_BYTES

    @classmethod
    def train(
        cls, spec: QuantizerSpec, metric: Metric, sample: Float32Array, centroids: Float32Array | None, seed: int
    ) -> Self:
        assert isinstance(spec, index_spec.Int4)
        return cls._fit(metric, residuals_of(sample, centroids), spec.clip)

    def encode(self, rows: Float32Array, centroids: Float32Array | None) -> Encoded:
        return in_batches(rows, centroids, _BATCH, self._encoded)

    def _encoded(self, rows: Float32Array, centroids: Float32Array | None) -> Encoded:
        codes = self._cells(residuals_of(rows, centroids))
        return {"codes": codes, "factors": self._factors(rows, codes, centroids)}

    def _varying(self, codes: np.ndarray) -> Float32Array:
        values: Float32Array = (codes.astype(np.float32) - np.float32(7.5)) * like(codes, self.step)
        return values

    def _factors(self, rows: Float32Array, codes: np.ndarray, centroids: Float32Array | None) -> Float32Array:
        """Of residuals to centroid + mid; the distance starts from the centroid alone, see Folding."""
        mid = like(rows, self.mid)
        origin = contiguous(np.broadcast_to(mid, rows.shape) if centroids is None else centroids + mid)
        factors = residual_factors(self.metric, rows - origin, self._varying(codes), origin)
        if self.metric is Metric.L2:  # |q - c - mid|^2 = |q - c|^2 - 2 <q, mid> + (|c + mid|^2 - |c|^2)
            known = row_dots(origin, origin)
            if centroids is not None:
                known = known - row_dots(centroids, centroids)
            factors[:, 1] += known.astype(np.float32)
        return factors

    def decode(self, encoded: Encoded, centroids: Float32Array | None) -> Float32Array:
        residuals = self._varying(encoded["codes"]) * gains(self.metric, encoded["factors"]) + self.mid
        return residuals if centroids is None else residuals + centroids

    def pack(self, encoded: Encoded, lists: Lists) -> dict[str, np.ndarray]:
        return pack_rows("nibble", lists, encoded["codes"], encoded["factors"])

    def open(self, arrays: Mapping[str, np.ndarray], lists: Lists) -> Codes:
        folding = Folding(self.metric, self.step * np.float32(0.5), self.mid)
        return RowSearch("nibble", self.dim, folding, arrays, lists, LEVELS)
