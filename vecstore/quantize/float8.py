"""Eight-bit floats (OCP specification, 2023): E4M3 and E5M2, after a power of two that fits the collection.

E4M3 saturates at 448 and has no infinity; a sample's largest number lands an octave below the top, so that later rows
may be twice as large before they are cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from vecstore import index_spec
from vecstore.errors import Corruption
from vecstore.index_spec import Quantizer as QuantizerSpec
from vecstore.kernels.base import CodeKind, Float32Array
from vecstore.kernels.places import contiguous, like
from vecstore.kernels.row_numpy import float8_values
from vecstore.quantize.base import Codes, Encoded, Lists
from vecstore.quantize.row_codes import Folding, RowSearch
from vecstore.quantize.scalar import ScalarQuantizer, need_sample, read_dim, residuals_of
from vecstore.schema import Metric

_FORMATS = {"e4m3": (3, 7, 0x7E), "e5m2": (2, 15, 0x7B)}  # mantissa bits, bias, code of the largest number
_EXPONENT_MAX = 64  # of the power of two: beyond it float32 itself runs out


def to_float8(numbers: Float32Array, kind: str) -> NDArray[np.uint8]:
    """To nearest, ties to even; larger numbers than the format's largest become that."""
    mantissa_bits, bias, largest = _FORMATS[kind]
    bits = contiguous(numbers.astype(np.float32, copy=False)).view(np.uint32)
    magnitude = bits & 0x7FFFFFFF
    dropped = np.uint32(23 - mantissa_bits)
    half = np.uint32((1 << int(dropped) - 1) - 1)
    normal = ((magnitude + half + (magnitude >> dropped & 1)) >> dropped).astype(np.int64)
    normal -= (127 - bias) << mantissa_bits
    least = np.float32(2.0 ** (1 - bias))  # of the normal numbers; below, codes count steps of least / 2^mantissa_bits
    small = np.minimum(magnitude.view(np.float32), least) * np.float32(2.0 ** (mantissa_bits - 1 + bias))
    code = np.where(magnitude.view(np.float32) < least, np.rint(small).astype(np.int64), normal)
    return (np.minimum(code, largest) | (bits >> 31 << 7).astype(np.int64)).astype(np.uint8)


class Float8Quantizer(ScalarQuantizer):
    name: ClassVar[str] = "float8"

    def __init__(self, metric: Metric, dim: int, kind: CodeKind, exponent: int) -> None:
        """Rows are multiplied by 2^exponent before they are rounded."""
        self.kind = kind
        self.exponent = exponent
        self._numbers = float8_values(kind)
        super().__init__(metric, dim)

    @classmethod
    def train(
        cls, spec: QuantizerSpec, metric: Metric, sample: Float32Array, centroids: Float32Array | None, seed: int
    ) -> Self:
        assert isinstance(spec, index_spec.Float8)
        need_sample(cls.name, sample)
        top = float(np.abs(residuals_of(sample, centroids)).max())
        largest = float(float8_values(spec.format)[_FORMATS[spec.format][2]])
        exponent = int(np.floor(np.log2(largest / top))) - 1 if top > 0 else 0
        return cls(metric, sample.shape[1], spec.format, max(-_EXPONENT_MAX, min(exponent, _EXPONENT_MAX)))

    def _rounded(self, residuals: Float32Array) -> np.ndarray:
        return to_float8(np.ldexp(residuals, self.exponent), self.kind)

    def _values(self, codes: np.ndarray) -> Float32Array:
        values: Float32Array = np.ldexp(like(codes, self._numbers)[codes], -self.exponent)
        return values

    def open(self, arrays: Mapping[str, np.ndarray], lists: Lists) -> Codes:
        """The power of two is taken out of the query: exact, and free in the scan."""
        weights = np.full(self.dim, 2.0**-self.exponent, np.float32)
        return RowSearch(self.kind, self.dim, Folding(self.metric, weights), arrays, lists)

    def encode(self, rows: Float32Array, centroids: Float32Array | None) -> Encoded:
        with np.errstate(over="ignore"):  # what leaves float32's range is cut off like all large numbers
            return super().encode(rows, centroids)

    def arrays(self) -> dict[str, np.ndarray]:
        mantissa_bits = _FORMATS[self.kind][0]
        return super().arrays() | {"format": np.array([mantissa_bits, self.exponent], np.int64)}

    @classmethod
    def from_arrays(cls, metric: Metric, arrays: Mapping[str, np.ndarray]) -> Self:
        stored = arrays.get("format")
        by_bits = {mantissa_bits: kind for kind, (mantissa_bits, _, _) in _FORMATS.items()}
        if stored is None or stored.shape != (2,) or stored.dtype != np.int64 or int(stored[0]) not in by_bits:
            raise Corruption("the quantizer float8 lacks its format")
        if abs(int(stored[1])) > _EXPONENT_MAX:
            raise Corruption(f"the quantizer float8 has the exponent {int(stored[1])}, more than {_EXPONENT_MAX}")
        kind = cast(CodeKind, by_bits[int(stored[0])])
        return cls(metric, read_dim(cls.name, arrays), kind, int(stored[1]))
