"""Codes that are numbers: each component of a row's residual is rounded by itself.

The code y of residual r, with centroid c, is scored as RaBitQ scores its codes (Gao and Long 2024, section 3), with
g = |r|^2 / <r, y>, so that the error of g * y is orthogonal to r, and what is known exactly in `add`:

    |x - q|^2 ~ |q - c|^2 + (|r|^2 + 2 g <y, c>) - 2 g <y, q>        -<x, q> ~ -<q, c> + (g <y, c> - <r, c>) - g <y, q>
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from vecstore.errors import Corruption, InvalidArgument
from vecstore.index_spec import BAD_INDEX_SPEC
from vecstore.index_spec import Quantizer as QuantizerSpec
from vecstore.kernels.base import CodeKind, Float32Array
from vecstore.kernels.encode import row_dots
from vecstore.kernels.places import contiguous, quotients
from vecstore.quantize.base import Codes, Encoded, Lists, Quantizer, in_batches
from vecstore.quantize.row_codes import Folding, RowSearch, code_dtype, pack_rows
from vecstore.schema import Metric

_FACTOR_BYTES = 8  # scale and add
_GAIN_MAX = 64.0  # of g, for residuals that their code hardly resembles
_FLOAT16_MAX = np.float32(65504)
_BATCH = 8192  # rows encoded at once


def residuals_of(rows: Float32Array, centroids: Float32Array | None) -> Float32Array:
    return rows if centroids is None else rows - centroids


def residual_factors(
    metric: Metric, residuals: Float32Array, values: Float32Array, centroids: Float32Array | None
) -> Float32Array:
    """Scale and add (n, 2) of codes that stand for `values`, relative to their centroids."""
    squares, along = row_dots(residuals, residuals), row_dots(residuals, values)
    gain = quotients(squares, along, along > squares / _GAIN_MAX, 1)
    add = squares if metric is Metric.L2 else np.zeros_like(squares)
    if centroids is not None:
        code_part, own_part = gain * row_dots(values, centroids), row_dots(residuals, centroids)
        add = add + 2 * code_part if metric is Metric.L2 else code_part - own_part
    scale = (-2 if metric is Metric.L2 else -1) * gain
    return np.stack((scale, add), axis=1).astype(np.float32)


def gains(metric: Metric, factors: Float32Array) -> Float32Array:
    """What codes are multiplied with to stand for their rows (n, 1)."""
    return factors[:, :1] * np.float32(-0.5 if metric is Metric.L2 else -1)


def read_dim(name: str, arrays: Mapping[str, np.ndarray]) -> int:
    dims = arrays.get("dim")
    if dims is None or dims.shape != (1,) or dims.dtype != np.int64 or int(dims[0]) < 1:
        raise Corruption(f"the quantizer {name} lacks its dimension")
    return int(dims[0])


def need_sample(name: str, sample: Float32Array) -> None:
    if not sample.size:
        raise InvalidArgument(f"{name} needs at least one row of one dimension to train on", reason=BAD_INDEX_SPEC)


class ScalarQuantizer(Quantizer):
    """Numbers without training."""

    kind: CodeKind

    def __init__(self, metric: Metric, dim: int) -> None:
        self.metric = metric
        self.dim = dim
        self.code_bytes = dim * code_dtype(self.kind).itemsize + _FACTOR_BYTES

    @classmethod
    def train(
        cls, spec: QuantizerSpec, metric: Metric, sample: Float32Array, centroids: Float32Array | None, seed: int
    ) -> Self:
        need_sample(cls.name, sample)
        return cls(metric, sample.shape[1])

    @abstractmethod
    def _rounded(self, residuals: Float32Array) -> np.ndarray:
        """Codes (n, dim)."""

    @abstractmethod
    def _values(self, codes: np.ndarray) -> Float32Array:
        """What codes stand for."""

    def encode(self, rows: Float32Array, centroids: Float32Array | None) -> Encoded:
        return in_batches(rows, centroids, _BATCH, self._encoded)

    def _encoded(self, rows: Float32Array, centroids: Float32Array | None) -> Encoded:
        residuals = residuals_of(rows, centroids)
        codes = self._rounded(residuals).astype(code_dtype(self.kind), copy=False)
        return {"codes": codes, "factors": residual_factors(self.metric, residuals, self._values(codes), centroids)}

    def decode(self, encoded: Encoded, centroids: Float32Array | None) -> Float32Array:
        residuals = self._values(encoded["codes"]) * gains(self.metric, encoded["factors"])
        return residuals if centroids is None else residuals + centroids

    def pack(self, encoded: Encoded, lists: Lists) -> dict[str, np.ndarray]:
        return pack_rows(self.kind, lists, encoded["codes"], encoded["factors"])

    def open(self, arrays: Mapping[str, np.ndarray], lists: Lists) -> Codes:
        return RowSearch(self.kind, self.dim, Folding(self.metric), arrays, lists)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"dim": np.array([self.dim], np.int64)}

    @classmethod
    def from_arrays(cls, metric: Metric, arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(metric, read_dim(cls.name, arrays))


class Float16Quantizer(ScalarQuantizer):
    name: ClassVar[str] = "float16"
    kind = "float16"

    def _rounded(self, residuals: Float32Array) -> np.ndarray:
        return np.clip(residuals, -_FLOAT16_MAX, _FLOAT16_MAX).astype(np.float16)

    def _values(self, codes: np.ndarray) -> Float32Array:
        return codes.astype(np.float32)


class BFloat16Quantizer(ScalarQuantizer):
    name: ClassVar[str] = "bfloat16"
    kind = "bfloat16"

    def _rounded(self, residuals: Float32Array) -> np.ndarray:
        """The high half, to nearest, ties to even; the largest numbers stay finite."""
        bits = contiguous(residuals).view(np.uint32)
        rounded = (bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16
        overflown = rounded & 0x7FFF >= 0x7F80
        return np.where(overflown, bits >> 16, rounded).astype(np.uint16)

    def _values(self, codes: np.ndarray) -> Float32Array:
        return (codes.astype(np.uint32) << 16).view(np.float32)
