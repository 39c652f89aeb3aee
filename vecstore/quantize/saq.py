"""SAQ: principal directions with bits where the variance is, and one scale a row.

After arXiv 2509.12086 (segments of the PCA axis with their own bits), cut down to single directions: each has a uniform
grid that is the same for all rows, so a row stores its cells and one factor, |r|^2 / <r, y>, which makes its inner
product with itself right. It would also stretch the directions that are told finely and need no stretching; these are
coded divided by it, with the factor that the coarse directions ask for. With more than two bits a dimension, stage one
holds about one bit of them, chosen by the same rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from vecstore import index_spec
from vecstore.errors import Corruption, InvalidArgument
from vecstore.index_spec import Quantizer as QuantizerSpec
from vecstore.kernels import encode
from vecstore.kernels.base import Float32Array
from vecstore.kernels.encode import Float64Array
from vecstore.kernels.places import like, quotients, xp_of
from vecstore.quantize.base import Encoded
from vecstore.quantize.codebooks import BITS_MAX
from vecstore.quantize.estimates import Residuals, decoded, halves_suffice, ratios, scale_and_add, stored
from vecstore.quantize.grid import Grid
from vecstore.quantize.projected import ProjectedQuantizer
from vecstore.quantize.saq_layout import Layout, code_bytes, fitted
from vecstore.schema import Metric
from vecstore.transform.arrays import number, stored_number, take

CODE_BYTES_MIN = 4
STAGED_ABOVE = 2.0  # bits a dimension
HALF_BITS_MAX = 5.0  # with more, a half float's rounding would show beside the code's own error


class SAQ(ProjectedQuantizer):
    name: ClassVar[str] = "saq"
    wider: ClassVar[float] = 0.5  # see _error

    def __init__(self, metric: Metric, layout: Layout, columns: int, half: tuple[bool, bool]) -> None:
        """`columns` of factors are stored in the first stage, as half floats where `half` says so for each stage."""
        self.metric, self.dim = metric, len(layout.basis)
        self._layout, self._basis, self._grid = layout, layout.basis, layout.grid
        self._columns, self._half = columns, half
        self._coarse = (layout.grid.bits <= layout.coarse_bits).astype(np.float32)
        grid = layout.grid
        self.has_bounds = columns == 3
        self.tables = grid.tables()
        self.code_bytes = float(code_bytes(grid) + _factor_bytes(columns, grid.staged, half))

    @classmethod
    def train(
        cls, spec: QuantizerSpec, metric: Metric, sample: Float32Array, centroids: Float32Array | None, seed: int
    ) -> Self:
        assert isinstance(spec, index_spec.SAQ)
        if not 0 < spec.bits <= BITS_MAX:
            raise InvalidArgument(f"SAQ.bits={spec.bits} is not in 0..{BITS_MAX}", reason=index_spec.BAD_INDEX_SPEC)
        if not len(sample):
            raise InvalidArgument("SAQ is fitted to a sample, which is empty", reason=index_spec.BAD_INDEX_SPEC)
        staged = spec.bits > STAGED_ABOVE
        one_list = centroids is None or bool((centroids == centroids[0]).all())
        columns = 3 if staged else 1 if one_list and metric is Metric.DOT else 2
        suffices = halves_suffice(metric, sample)
        half = suffices, suffices and spec.bits <= HALF_BITS_MAX
        residuals = sample if centroids is None else sample - centroids
        # Of few dimensions, nothing may be left beside the factors: a code has CODE_BYTES_MIN whatever was asked.
        room = max(CODE_BYTES_MIN, int(spec.bits * sample.shape[1] / 8) - _factor_bytes(columns, staged, half))
        layout = fitted(residuals, sample if columns == 1 else None, room, staged)
        return cls(metric, layout, columns, half)

    @property
    def bits(self) -> np.ndarray:
        """Bits of each direction in use (dims,)."""
        return self._grid.bits

    def project(self, rows: Float32Array) -> Float32Array:
        return encode.project(rows, self._basis)

    def project_back(self, projected: Float32Array) -> Float32Array:
        return projected @ self._basis.T

    def encode_residuals(self, residuals: Residuals) -> Encoded:
        codes = self._codes(residuals.projected)
        encoded: Encoded = {"nibbles": self._grid.nibbles(codes)}
        if self._grid.staged:
            encoded["factors"] = self._factors(residuals, self._grid.top_values(codes), 3, self._half[0])
            encoded["extra"] = self._grid.low_bits(codes)
            encoded["extra_factors"] = self._factors(residuals, self._grid.values(codes), 2, self._half[1])
        else:
            encoded["factors"] = self._factors(residuals, self._grid.values(codes), self._columns, self._half[0])
        return encoded

    def _codes(self, projected: Float32Array) -> encode.UInt16Array:
        grid, ones = self._grid, xp_of(projected).ones(len(projected), np.float32)
        halves = (np.int64(1) << (grid.bits - 1).astype(np.int64)).astype(np.float32)
        codes = encode.grid_codes(projected, ones, np.float32(1) / grid.steps, halves)
        if self._coarse.all():
            return codes
        values = grid.values(codes)
        coarse = encode.row_dots(projected, values * like(values, self._coarse))
        missing = encode.row_dots(projected, projected) - encode.row_dots(projected, values)
        divisors = 1 + quotients(missing, coarse, coarse > 0, 0)
        inverse = (1 / np.clip(divisors, 0.5, 2)).astype(np.float32)
        fine = encode.grid_codes(projected, inverse, np.float32(1) / grid.steps, halves)
        return np.where(like(codes, self._coarse), codes, fine)

    def _factors(self, residuals: Residuals, values: Float32Array, columns: int, half: bool) -> np.ndarray:
        # The first stage only has to rule rows out: its scale leans towards the directions that weigh most in a query,
        # which nearly halves its error. The last stage ranks neighbours, whose direction is the row's own.
        ratio = ratios(residuals, values, np.sqrt(self._grid.weights) if columns == 3 else None)
        factors = [*scale_and_add(self.metric, residuals, values, ratio)]
        if columns == 3:
            factors.append(self._error(residuals, values, ratio))
        return stored(factors[:columns], half)

    def _error(self, residuals: Residuals, values: Float32Array, ratio: Float64Array) -> Float64Array:
        """Root mean square of the estimate's error over queries like the sample's rows, for |q - c| = 1: what of the
        residual the code does not tell, each direction weighed by the queries' energy along it. Near neighbours come
        out a little too far: of these 5 to 7 % lie beyond 1.9 errors (of all rows 3 %), 1 % beyond 3."""
        missed = residuals.projected - ratio[:, None].astype(np.float32) * values
        missed *= like(missed, self._grid.weights)
        kept = encode.row_dots(residuals.projected, residuals.projected)
        beside = np.maximum(residuals.squares - kept, 0) * self._layout.dropped
        error: Float64Array = np.sqrt(encode.row_dots(missed, missed) + beside)
        return error * (2 if self.metric is Metric.L2 else 1)

    def decode_residuals(self, encoded: Encoded) -> Float32Array:
        values = self._grid.values(self._grid.codes(encoded["nibbles"], encoded.get("extra")))
        return decoded(self.metric, values, encoded.get("extra_factors", encoded["factors"]))

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            "basis": self._basis,
            "bits": self._grid.bits,
            "top": self._grid.top,
            "steps": self._grid.steps,
            "weights": self._grid.weights,
            "dropped": np.array([self._layout.dropped], np.float64),
            "coarse_bits": stored_number(self._layout.coarse_bits),
            "columns": stored_number(self._columns),
            "half": np.array(self._half, np.int64),
        }

    @classmethod
    def from_arrays(cls, metric: Metric, arrays: Mapping[str, np.ndarray]) -> Self:
        basis = take(arrays, "basis", np.float32, (None, None))
        shape = basis.shape[1:]
        bits, top = take(arrays, "bits", np.int32, shape), take(arrays, "top", np.int32, shape)
        steps, weights = take(arrays, "steps", np.float32, shape), take(arrays, "weights", np.float32, shape)
        half = take(arrays, "half", np.int64, (2,))
        if ((bits < 1) | (bits > BITS_MAX) | (top < 0) | (top > bits)).any() or not top.any() or (steps <= 0).any():
            raise Corruption("arrays bits, top and steps of SAQ do not describe grids")
        grid = Grid(bits, top, steps, weights)
        columns = number(arrays, "columns", 1, 3)
        if grid.staged and columns != 3:
            raise Corruption(f"SAQ stores {columns} columns of factors, its first stage needs 3")
        dropped = float(take(arrays, "dropped", np.float64, (1,))[0])
        layout = Layout(basis, grid, dropped, number(arrays, "coarse_bits", 1, BITS_MAX))
        return cls(metric, layout, columns, (bool(half[0]), bool(half[1])))


def _factor_bytes(columns: int, staged: bool, half: tuple[bool, bool]) -> int:
    return columns * (2 if half[0] else 4) + (2 * (2 if half[1] else 4) if staged else 0)
