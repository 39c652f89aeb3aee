"""SAQ: principal directions with bits where the variance is, and one scale a row.

After arXiv 2509.12086 (segments of the PCA axis with their own bits), cut down to single directions: each has a uniform
grid that is the same for all rows, so a row stores its cells and one factor that makes inner products unbiased. Where
only that factor is stored, the first direction is the mean's, because queries lie along it too. With more than two
bits a dimension, stage one holds about one bit of them, chosen by the same rule.
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
from vecstore.quantize import saq_plan
from vecstore.quantize.base import Encoded
from vecstore.quantize.codebooks import BITS_MAX, grid_step
from vecstore.quantize.estimates import Residuals, halves_suffice, ratios, scale_and_add, stored
from vecstore.quantize.grid import Grid
from vecstore.quantize.projected import ProjectedQuantizer
from vecstore.quantize.saq_basis import directions, moments
from vecstore.schema import Metric
from vecstore.transform.arrays import number, stored_number, take

STAGED_ABOVE = 2.0  # bits a dimension
HALF_BITS_MAX = 5.0  # with more, a half float's rounding would show beside the code's own error


class SAQ(ProjectedQuantizer):
    name: ClassVar[str] = "saq"

    def __init__(
        self, metric: Metric, basis: Float32Array, grid: Grid, dropped: float, columns: int, half: tuple[bool, bool]
    ) -> None:
        """`basis` (dim, dims) has a column for each direction with bits; grid.weights are the root mean squares of
        queries along them, `dropped` the mean square of queries along the other directions, as a row's energy there
        weighs them; `columns` of factors are stored, as half floats where `half` says so for each stage."""
        self.metric, self.dim = metric, len(basis)
        self._basis, self._grid = basis, grid
        self._dropped, self._columns, self._half = dropped, columns, half
        self.has_bounds = grid.staged
        self.tables = grid.tables()
        self.code_bytes = float(_code_bytes(grid) + _factor_bytes(columns, grid.staged, half))

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
        basis = directions(residuals, sample.mean(axis=0, dtype=np.float64) if columns == 1 else None)
        variances = moments(residuals, basis)
        queries = moments(sample, basis) if columns == 1 else variances
        room = int(spec.bits * len(basis) / 8) - _factor_bytes(columns, staged, half)
        if room < 4:
            raise InvalidArgument(
                f"SAQ.bits={spec.bits} of {len(basis)} dimensions leaves {max(room, 0)} bytes for a code, at least 4 "
                "are needed",
                reason=index_spec.BAD_INDEX_SPEC,
            )
        grid, used = _planned(variances, queries, room, staged)
        rest = np.setdiff1d(np.arange(len(basis)), used)
        energy = variances[rest].sum()
        dropped = float((variances[rest] * queries[rest]).sum() / energy) if energy > 0 else 0.0
        return cls(metric, np.ascontiguousarray(basis[:, used], np.float32), grid, dropped, columns, half)

    @property
    def bits(self) -> np.ndarray:
        """Bits of each direction in use (dims,)."""
        return self._grid.bits

    def project(self, rows: Float32Array) -> Float32Array:
        return encode.project(rows, self._basis)

    def project_back(self, projected: Float32Array) -> Float32Array:
        return projected @ self._basis.T

    def encode_residuals(self, residuals: Residuals) -> Encoded:
        ones = np.ones(len(residuals.projected), np.float32)
        halves = (np.int64(1) << (self._grid.bits - 1).astype(np.int64)).astype(np.float32)
        codes = encode.grid_codes(residuals.projected, ones, np.float32(1) / self._grid.steps, halves)
        encoded: Encoded = {"nibbles": self._grid.nibbles(codes)}
        if self._grid.staged:
            encoded["factors"] = self._factors(residuals, self._grid.top_values(codes), 3, self._half[0])
            encoded["extra"] = self._grid.low_bits(codes)
            encoded["extra_factors"] = self._factors(residuals, self._grid.values(codes), 2, self._half[1])
        else:
            encoded["factors"] = self._factors(residuals, self._grid.values(codes), self._columns, self._half[0])
        return encoded

    def _factors(self, residuals: Residuals, values: Float32Array, columns: int, half: bool) -> np.ndarray:
        ratio = ratios(residuals, values)
        factors = [*scale_and_add(self.metric, residuals, values, ratio)]
        if columns == 3:
            factors.append(self._error(residuals, values, ratio))
        return stored(factors[:columns], half)

    def _error(self, residuals: Residuals, values: Float32Array, ratio: Float64Array) -> Float64Array:
        """Root mean square of the estimate's error over queries like the sample's rows, for |q - c| = 1: what of the
        residual the code does not tell, each direction weighed by the queries' energy along it."""
        missed = residuals.projected - ratio[:, None].astype(np.float32) * values
        missed *= self._grid.weights
        kept = encode.row_dots(residuals.projected, residuals.projected)
        beside = np.maximum(residuals.squares - kept, 0) * self._dropped
        error: Float64Array = np.sqrt(encode.row_dots(missed, missed) + beside)
        return error * (2 if self.metric is Metric.L2 else 1)

    def decode_residuals(self, encoded: Encoded) -> Float32Array:
        values = self._grid.values(self._grid.codes(encoded["nibbles"], encoded.get("extra")))
        scale = encoded.get("extra_factors", encoded["factors"])[:, :1].astype(np.float32)
        return values * (scale / np.float32(-2 if self.metric is Metric.L2 else -1))

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            "basis": self._basis,
            "bits": self._grid.bits,
            "top": self._grid.top,
            "steps": self._grid.steps,
            "weights": self._grid.weights,
            "dropped": np.array([self._dropped], np.float64),
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
        if grid.staged != (columns == 3):
            raise Corruption(f"SAQ stores {columns} columns of factors, which does not suit its stages")
        dropped = float(take(arrays, "dropped", np.float64, (1,))[0])
        return cls(metric, basis, grid, dropped, columns, (bool(half[0]), bool(half[1])))


def _factor_bytes(columns: int, staged: bool, half: tuple[bool, bool]) -> int:
    return columns * (2 if half[0] else 4) + (2 * (2 if half[1] else 4) if staged else 0)


def _code_bytes(grid: Grid) -> int:
    """Bytes of both stages; nibbles are stored eight together."""
    tables = grid.tables()
    return -(-len(tables.table_dims) // 8) * 4 + tables.extra_bytes


def _planned(variances: Float64Array, queries: Float64Array, room: int, staged: bool) -> tuple[Grid, np.ndarray]:
    """Grids for the directions that get bits, and which these are: at most `room` bytes a row."""
    group = 8 if staged else 4  # runs of stage two are padded to 8 dimensions
    floor = 1e-12 * variances.mean() or 1.0
    deviations = np.sqrt(np.maximum(variances, floor))
    total = np.maximum(queries.sum(), np.finfo(np.float64).tiny)
    shares = np.maximum(variances, floor) * np.maximum(queries, 1e-12 * total)
    budget = room * 8 if staged else room // 4 * 32
    while True:
        bits = saq_plan.plan(shares, budget, group)
        top = bits
        if staged:
            top = saq_plan.first_stage(shares, bits, min(budget, -(-len(bits) // 32) * 32), group)
        used = np.flatnonzero(bits)
        steps = np.array([grid_step(count) for count in bits[used].tolist()]) * deviations[used]
        weights = np.sqrt(queries[used] / total)
        grid = Grid(bits[used], top[used], steps.astype(np.float32), weights.astype(np.float32))
        over = _code_bytes(grid) - room
        if over <= 0:
            return grid, used
        budget -= 8 * over
