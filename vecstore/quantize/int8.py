"""One byte a dimension, with a range for each: a row is mid + step * (byte - 128), whatever list it is in.

Codes are of the row itself, not of a residual, so that they serve any list and also rescore candidates. Under DOT the
part that varies is scaled until the decoded row is as long as the row: a cosine of decoded unit vectors is at most 1.
Under L2, distances are those of the decoded rows. Ranges leave out the share `clip` of a sample at each end; how many
numbers were cut off since is kept: it grows when new rows drift away from the sample.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vecstore import index_spec
from vecstore.errors import Corruption, InvalidArgument
from vecstore.index_spec import BAD_INDEX_SPEC
from vecstore.index_spec import Quantizer as QuantizerSpec
from vecstore.kernels.base import Float32Array
from vecstore.kernels.encode import row_dots
from vecstore.kernels.places import contiguous, like, quotients
from vecstore.quantize.base import Codes, Encoded, Lists, Quantizer, in_batches
from vecstore.quantize.row_codes import Folding, RowSearch, pack_rows
from vecstore.quantize.scalar import need_sample, read_dim
from vecstore.schema import Metric

_BATCH = 8192


def ranges(sample: Float32Array, clip: float) -> tuple[Float32Array, Float32Array]:
    """The least and the greatest number of each dimension, with the share `clip` left out at each end."""
    if not 0 <= clip < 0.5:
        raise InvalidArgument(f"clip is {clip}, expected a share from 0 to below 0.5", reason=BAD_INDEX_SPEC)
    if clip == 0:
        return sample.min(axis=0), sample.max(axis=0)
    low, high = np.quantile(sample, [clip, 1 - clip], axis=0, method="lower")
    return low.astype(np.float32), high.astype(np.float32)


def read_ranges(
    name: str, arrays: Mapping[str, np.ndarray], dim: int
) -> tuple[Float32Array, Float32Array, NDArray[np.int64]]:
    """Low ends, steps and counts from stored arrays."""
    low, step, seen = arrays.get("low"), arrays.get("step"), arrays.get("clipped")
    if low is None or step is None or seen is None or seen.shape != (2,) or seen.dtype != np.int64:
        raise Corruption(f"the quantizer {name} lacks its ranges")
    for array in (low, step):
        if array.dtype != np.float32 or array.shape != (dim,) or not np.isfinite(array).all():
            raise Corruption(f"ranges of the quantizer {name} are not finite float32 of {dim} dimensions")
    if not (step > 0).all():
        raise Corruption(f"a range of the quantizer {name} is empty")
    return low, step, seen


class RangeQuantizer(Quantizer):
    """`levels` numbers in equal steps over the range of each dimension."""

    levels: ClassVar[int]

    def __init__(self, metric: Metric, low: Float32Array, step: Float32Array, seen: NDArray[np.int64]) -> None:
        self.metric = metric
        self.dim = len(low)
        self.low, self.step = low, step
        self._seen = seen.copy()  # numbers cut off, numbers encoded
        self._lock = threading.Lock()

    @classmethod
    def _fit(cls, metric: Metric, sample: Float32Array, clip: float) -> Self:
        need_sample(cls.name, sample)
        low, high = ranges(sample, clip)
        step = (high - low) / np.float32(cls.levels - 1)
        # A constant dimension, or one whose step is lost beside its numbers, gets the least step that is not.
        step = np.maximum(step, np.maximum(np.abs(low), np.abs(high)) * np.float32(1e-6))
        step = np.maximum(step, np.float32(1e-30))
        return cls(metric, low, step, np.zeros(2, np.int64))

    @property
    def clipped(self) -> float:
        """The share of encoded numbers that lay outside their range."""
        return float(self._seen[0] / max(1, self._seen[1]))

    def _cells(self, rows: Float32Array) -> NDArray[np.uint8]:
        cells = np.rint((rows - like(rows, self.low)) / like(rows, self.step))
        inside = np.clip(cells, 0, self.levels - 1)
        with self._lock:
            self._seen += (int((cells != inside).sum()), cells.size)
        codes: NDArray[np.uint8] = inside.astype(np.uint8)
        return codes

    def arrays(self) -> dict[str, np.ndarray]:
        dim = np.array([self.dim], np.int64)
        return {"dim": dim, "low": self.low, "step": self.step, "clipped": self._seen.copy()}

    @classmethod
    def from_arrays(cls, metric: Metric, arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(metric, *read_ranges(cls.name, arrays, read_dim(cls.name, arrays)))


class Int8Quantizer(RangeQuantizer):
    name: ClassVar[str] = "int8"
    levels = 256

    def __init__(self, metric: Metric, low: Float32Array, step: Float32Array, seen: NDArray[np.int64]) -> None:
        super().__init__(metric, low, step, seen)
        self.mid = low + np.float32(128) * step
        self.code_bytes = self.dim + (8 if metric is Metric.L2 else 4)

    @classmethod
    def train(
        cls, spec: QuantizerSpec, metric: Metric, sample: Float32Array, centroids: Float32Array | None, seed: int
    ) -> Self:
        assert isinstance(spec, index_spec.Int8)
        return cls._fit(metric, sample, spec.clip)

    def encode(self, rows: Float32Array, centroids: Float32Array | None) -> Encoded:
        return in_batches(rows, None, _BATCH, self._encoded)

    def _encoded(self, rows: Float32Array, centroids: Float32Array | None) -> Encoded:
        codes = self._cells(rows)
        return {"codes": codes, "factors": self._factors(rows, self._varying(codes))}

    def _varying(self, codes: np.ndarray) -> Float32Array:
        values: Float32Array = (codes.astype(np.float32) - np.float32(128)) * like(codes, self.step)
        return values

    def _factors(self, rows: Float32Array, varying: Float32Array) -> Float32Array:
        if self.metric is Metric.L2:
            decoded = varying + like(varying, self.mid)
            squares = row_dots(decoded, decoded)
            return np.stack((np.full_like(squares, -2), squares), axis=1).astype(np.float32)
        # |mid + s * varying| = |row|, for the s near 1.
        mids = contiguous(np.broadcast_to(like(rows, self.mid), rows.shape))
        a, b = row_dots(varying, varying), row_dots(varying, mids)
        root = b * b - a * (row_dots(mids, mids) - row_dots(rows, rows))
        scale = quotients(np.sqrt(np.maximum(root, 0)) - b, a, (root >= 0) & (a > 0), 1)
        scale = np.where(np.abs(scale - 1) <= 0.5, scale, 1.0)  # far off where most of a row was cut off
        return (-scale[:, None]).astype(np.float32)

    def decode(self, encoded: Encoded, centroids: Float32Array | None) -> Float32Array:
        varying = self._varying(encoded["codes"])
        if self.metric is not Metric.L2:
            varying *= -encoded["factors"][:, :1]
        return varying + self.mid

    def pack(self, encoded: Encoded, lists: Lists) -> dict[str, np.ndarray]:
        return pack_rows("int8", lists, encoded["codes"], encoded["factors"])

    def open(self, arrays: Mapping[str, np.ndarray], lists: Lists) -> Codes:
        folding = Folding(self.metric, self.step, self.mid, whole=True)
        return RowSearch("int8", self.dim, folding, arrays, lists)
