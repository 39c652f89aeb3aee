"""RaBitQ: random rotation, one uniform grid for all coordinates, an unbiased estimate with an error bound.

Gao and Long, arXiv 2405.12497 (1 bit), Gao et al., arXiv 2409.09913 (more bits). The top bit is the one-bit code:
stage one reads it alone, with factors of its own, stage two adds the rest. Each row's step is the best of a few; the
exact search for a code and coordinate descent are the references that it is tested against (`caq.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from vecstore import index_spec
from vecstore.errors import InvalidArgument
from vecstore.index_spec import Quantizer as QuantizerSpec
from vecstore.kernels import encode
from vecstore.kernels.base import Float32Array
from vecstore.kernels.places import xp_of
from vecstore.quantize.base import Encoded
from vecstore.quantize.codebooks import grid_step
from vecstore.quantize.estimates import Residuals, decoded, halves_suffice, ratios, rotated_error, scale_and_add, stored
from vecstore.quantize.grid import Grid
from vecstore.quantize.projected import ProjectedQuantizer
from vecstore.schema import Metric
from vecstore.transform.arrays import number, stored_number
from vecstore.transform.rotation import Rotation

BITS_MAX = 8
HALF_BITS_MAX = 4  # with more, a half float's rounding would show beside the code's own error


class RaBitQ(ProjectedQuantizer):
    name: ClassVar[str] = "rabitq"
    has_bounds = True

    def __init__(self, metric: Metric, rotation: Rotation, bits: int, half: bool) -> None:
        dims = rotation.dim_out
        self.metric, self.dim, self.bits = metric, rotation.dim_in, bits
        self._rotation = rotation
        self._half = half  # rows have lengths that half floats suit
        ones = np.ones(dims, np.float32)
        self._grid = Grid(np.full(dims, bits, np.int32), np.ones(dims, np.int32), ones, ones)
        self.tables = self._grid.tables()
        first, second = (6 if half else 12), (6 if half and bits <= HALF_BITS_MAX else 12)
        self.code_bytes = dims * bits / 8 + first + (second if bits > 1 else 0)

    @classmethod
    def train(
        cls, spec: QuantizerSpec, metric: Metric, sample: Float32Array, centroids: Float32Array | None, seed: int
    ) -> Self:
        assert isinstance(spec, index_spec.RaBitQ)
        if not 1 <= spec.bits <= BITS_MAX:
            raise InvalidArgument(f"RaBitQ.bits={spec.bits} is not in 1..{BITS_MAX}", reason=index_spec.BAD_INDEX_SPEC)
        return cls(metric, Rotation.random(sample.shape[1], seed), spec.bits, halves_suffice(metric, sample))

    def project(self, rows: Float32Array) -> Float32Array:
        return self._rotation.apply(rows)

    def encode_residuals(self, residuals: Residuals) -> Encoded:
        codes = self.grid_codes(residuals.projected)
        encoded: Encoded = {
            "nibbles": self._grid.nibbles(codes),
            "factors": self._factors(residuals, self._grid.top_values(codes), self._half),
        }
        if self.bits > 1:
            half = self._half and self.bits <= HALF_BITS_MAX
            encoded["extra"] = self._grid.low_bits(codes)
            encoded["extra_factors"] = self._factors(residuals, self._grid.values(codes), half)
        return encoded

    def grid_codes(self, rotated: Float32Array) -> encode.UInt16Array:
        """Codes 0..2**bits - 1 of rotated residuals (n, dims)."""
        half = 1 << self.bits - 1
        ones = np.ones(rotated.shape[1], np.float32)
        if half == 1:
            inverse_steps = xp_of(rotated).ones(len(rotated), np.float32)
        else:
            inverse_steps = encode.grid_steps(rotated, half, grid_step(self.bits))
        return encode.grid_codes(rotated, inverse_steps, ones, ones * np.float32(half))

    def decode_residuals(self, encoded: Encoded) -> Float32Array:
        values = self._grid.values(self._grid.codes(encoded["nibbles"], encoded.get("extra")))
        return decoded(self.metric, values, encoded.get("extra_factors", encoded["factors"]))

    def _factors(self, residuals: Residuals, values: Float32Array, half: bool) -> np.ndarray:
        ratio = ratios(residuals, values)
        scale, add = scale_and_add(self.metric, residuals, values, ratio)
        return stored([scale, add, rotated_error(self.metric, residuals, values, ratio)], half)

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            "bits": stored_number(self.bits),
            "half": stored_number(int(self._half)),
            **{f"rotation.{name}": array for name, array in self._rotation.arrays().items()},
        }

    @classmethod
    def from_arrays(cls, metric: Metric, arrays: Mapping[str, np.ndarray]) -> Self:
        bits, half = number(arrays, "bits", 1, BITS_MAX), number(arrays, "half", 0, 1)
        return cls(metric, stored_rotation(arrays), bits, bool(half))


def stored_rotation(arrays: Mapping[str, np.ndarray]) -> Rotation:
    """The rotation among a quantizer's arrays. Raises Corruption."""
    prefix = "rotation."
    return Rotation.from_arrays({k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)})
