"""Product quantization: a row's residual is cut into m subspaces, and each part replaced by the nearest of 2^bits
centroids (Jegou et al. 2011). Nibbles are scanned through byte tables (FastScan, Andre et al. 2015), bytes by look-ups.

A code y of residual r is scored as RaBitQ scores its codes: with g = |r|^2 / <r, y>, so that the error of g * y is
orthogonal to r (what ScaNN's anisotropic loss weighs most), and with what is known exactly, |r|^2 and <r, c>, in `add`:

    |x - q|^2 ~ |q - c|^2 + (|r|^2 + 2 g <y, c>) - 2 g <y, q>        -<x, q> ~ -<q, c> + (g <y, c> - <r, c>) - g <y, q>
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vecstore import index_spec
from vecstore.errors import Corruption, InvalidArgument
from vecstore.kernels.base import Float32Array, UInt8Array
from vecstore.kernels.encode import nearest_codes, row_dots
from vecstore.kernels.places import contiguous, like, quotients, xp_of
from vecstore.quantize.base import Codes, Encoded, Lists, Quantizer, in_batches
from vecstore.quantize.pq8 import ByteSearch, pack_bytes
from vecstore.quantize.pq_train import train_codebooks
from vecstore.quantize.table_codes import Tables, TableSearch, pack
from vecstore.schema import Metric

_BATCH = 4096  # rows encoded at once
_FACTOR_BYTES = 8  # scale and add, float32: `add` holds what may be much larger than the differences that count
_GAIN_MAX = 64.0  # of g, for residuals that their code hardly resembles


class ProductQuantizer(Quantizer):
    name = "pq"

    def __init__(self, metric: Metric, dim: int, codebooks: Float32Array) -> None:
        """`codebooks` is (m, 16 or 256, ds); rows are padded with zeros to m * ds."""
        self.metric = metric
        self.dim = dim
        self.codebooks = codebooks
        self.m, size, self.subdim = codebooks.shape
        self.bits = int(size).bit_length() - 1
        self._columns = np.ascontiguousarray(codebooks.transpose(0, 2, 1))
        centroids = codebooks.reshape(-1, self.subdim)
        self._half_squares = (row_dots(centroids, centroids) / 2).astype(np.float32).reshape(self.m, -1)
        self.code_bytes = self.m * self.bits / 8 + _FACTOR_BYTES

    @classmethod
    def train(
        cls,
        spec: index_spec.Quantizer,
        metric: Metric,
        sample: Float32Array,
        centroids: Float32Array | None,
        seed: int,
    ) -> Self:
        assert isinstance(spec, index_spec.PQ)
        dim = sample.shape[1]
        if not 1 <= spec.m <= dim:
            raise InvalidArgument(
                f"product quantization into m={spec.m} subspaces needs 1 to {dim}, the dimension",
                reason="BAD_INDEX_SPEC",
            )
        subdim = -(-dim // spec.m)
        residuals = sample if centroids is None else sample - centroids
        codebooks = train_codebooks(_padded(residuals, spec.m * subdim), spec.m, spec.bits, seed)
        return cls(metric, dim, codebooks)

    def encode(self, rows: Float32Array, centroids: Float32Array | None) -> Encoded:
        return in_batches(rows, centroids, _BATCH, self._encoded)

    def _encoded(self, rows: Float32Array, centroids: Float32Array | None) -> Encoded:
        residuals = rows if centroids is None else rows - centroids
        codes = self._nearest(residuals)
        factors = self._factors(residuals, self._vectors(codes), centroids)
        return {"codes": codes, "factors": factors.astype(np.float32)}

    def decode(self, encoded: Encoded, centroids: Float32Array | None) -> Float32Array:
        vectors = self._vectors(encoded["codes"])
        return vectors if centroids is None else vectors + centroids

    def pack(self, encoded: Encoded, lists: Lists) -> dict[str, np.ndarray]:
        place = pack if self.bits == 4 else pack_bytes
        return place(lists, encoded["codes"], encoded["factors"])

    def open(self, arrays: Mapping[str, np.ndarray], lists: Lists) -> Codes:
        dims = np.arange(self.m * self.subdim, dtype=np.int32).reshape(self.m, self.subdim)
        dims[dims >= self.dim] = -1
        return (TableSearch if self.bits == 4 else ByteSearch)(arrays, lists, Tables(dims, self._columns))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"dim": np.array([self.dim], np.int64), "codebooks": self.codebooks}

    @classmethod
    def from_arrays(cls, metric: Metric, arrays: Mapping[str, np.ndarray]) -> Self:
        dims, codebooks = arrays.get("dim"), arrays.get("codebooks")
        if dims is None or codebooks is None:
            raise Corruption("a product quantizer lacks its dim or codebooks")
        shape = codebooks.shape
        if codebooks.dtype != np.float32 or len(shape) != 3 or shape[1] not in (16, 256) or dims.shape != (1,):
            raise Corruption(f"codebooks of a product quantizer are {codebooks.dtype} of shape {shape}")
        dim = int(dims[0])
        if not (shape[0] <= dim <= shape[0] * shape[2] and np.isfinite(codebooks).all()):
            raise Corruption(f"codebooks of shape {shape} do not fit {dim} dimensions or are not finite")
        return cls(metric, dim, codebooks)

    def _nearest(self, residuals: Float32Array) -> UInt8Array:
        """The nearest centroid in each subspace (n, m); equal ones by number."""
        return nearest_codes(_padded(residuals, self.m * self.subdim), self._columns, self._half_squares)

    def _vectors(self, codes: UInt8Array) -> Float32Array:
        of_parts = like(codes, self.codebooks)[xp_of(codes).arange(self.m), codes.astype(np.int64)]
        vectors: Float32Array = contiguous(of_parts.reshape(len(codes), -1)[:, : self.dim])
        return vectors

    def _factors(
        self, residuals: Float32Array, vectors: Float32Array, centroids: Float32Array | None
    ) -> NDArray[np.float64]:
        """Scale and add of each row (n, 2)."""
        squares, dots = row_dots(residuals, residuals), row_dots(residuals, vectors)
        gains = quotients(squares, np.maximum(dots, squares / _GAIN_MAX), squares > 0, 0)
        of_code = of_row = np.zeros_like(squares)
        if centroids is not None:
            of_code, of_row = gains * row_dots(vectors, centroids), row_dots(residuals, centroids)
        if self.metric is Metric.L2:
            return np.stack([-2 * gains, squares + 2 * of_code], axis=1)
        return np.stack([-gains, of_code - of_row], axis=1)


def _padded(rows: Float32Array, dim: int) -> Float32Array:
    """Rows with zeros appended to `dim` components."""
    return rows if rows.shape[1] == dim else np.pad(rows, ((0, 0), (0, dim - rows.shape[1])))
