"""One byte a dimension, with a range for each: a row is mid + step * (byte - 128), whatever list it is in.

Codes are of the row itself, not of a residual, so that they serve any list and also rescore candidates. Under L2,
distances are those of the decoded rows. Under DOT a row is its code and nothing else: what rounding one dimension adds
is given to the others, so that the error is small where queries like the rows would see it (`shaping`). Or it has a
factor that makes the decoded row as long as the row: with `clip`, in earlier versions, and where that disturbs the
order of a sample's near rows less, as where dimensions are independent and of unlike ranges. Ranges leave out the
share `clip` of a sample at each end; how many numbers were cut off since is kept: it grows when new rows drift away
from the sample.
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
from vecstore.kernels.base import Float32Array, UInt8Array
from vecstore.kernels.encode import row_dots, shaped_codes
from vecstore.kernels.places import contiguous, like, quotients
from vecstore.quantize.base import Codes, Encoded, Lists, Quantizer, in_batches
from vecstore.quantize.row_codes import Folding, RowSearch, pack_rows
from vecstore.quantize.scalar import need_sample, read_dim
from vecstore.quantize.shaping import feedback, judged, near_error
from vecstore.schema import Metric

_BATCH = 8192
_MARGIN = np.float32(0.04)  # of a range at each end: what a sample of 16,384 of 50,000 and 100,000 rows leaves outside
# costs more than coarser steps (e5 errs by 11.8 without, 10.9 with it, MiniLM by 35.8 and 33.6; see quantize.shaping)


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
        self._count(int((cells != inside).sum()), cells.size)
        codes: NDArray[np.uint8] = inside.astype(np.uint8)
        return codes

    def _count(self, outside: int, of: int) -> None:
        with self._lock:
            self._seen += (outside, of)

    def arrays(self) -> dict[str, np.ndarray]:
        dim = np.array([self.dim], np.int64)
        return {"dim": dim, "low": self.low, "step": self.step, "clipped": self._seen.copy()}

    @classmethod
    def from_arrays(cls, metric: Metric, arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(metric, *read_ranges(cls.name, arrays, read_dim(cls.name, arrays)))


class Int8Quantizer(RangeQuantizer):
    name: ClassVar[str] = "int8"
    levels = 256

    def __init__(
        self,
        metric: Metric,
        low: Float32Array,
        step: Float32Array,
        seen: NDArray[np.int64],
        shaping: Float32Array | None = None,
    ) -> None:
        """`shaping` as in `kernels.encode.shaped_codes`, of codes without factors."""
        super().__init__(metric, low, step, seen)
        self.mid = low + np.float32(128) * step
        self.shaping = shaping
        self.code_bytes = self.dim + (0 if shaping is not None else 8 if metric is Metric.L2 else 4)

    @classmethod
    def train(
        cls, spec: QuantizerSpec, metric: Metric, sample: Float32Array, centroids: Float32Array | None, seed: int
    ) -> Self:
        assert isinstance(spec, index_spec.Int8)
        scaled = cls._fit(metric, sample, spec.clip)
        if metric is Metric.L2 or spec.clip > 0:  # what is cut off makes rows shorter: they need their factor
            return scaled
        low, step = scaled.low - _MARGIN * 255 * scaled.step, scaled.step * (1 + 2 * _MARGIN)
        shaped = cls(metric, low, step, scaled._seen, feedback(sample, step))
        rows = judged(sample)
        chosen = min((shaped, scaled), key=lambda one: near_error(rows, one.decode(one.encode(rows, None), None)))
        chosen._seen[:] = 0  # the sample's rows are encoded again, or none of the index
        return chosen

    def arrays(self) -> dict[str, np.ndarray]:
        return super().arrays() | ({} if self.shaping is None else {"feedback": self.shaping})

    @classmethod
    def from_arrays(cls, metric: Metric, arrays: Mapping[str, np.ndarray]) -> Self:
        dim = read_dim(cls.name, arrays)
        ranges_, shaping = read_ranges(cls.name, arrays, dim), arrays.get("feedback")
        if shaping is not None and (shaping.dtype != np.float32 or shaping.shape != (dim * (dim - 1) // 2,)):
            raise Corruption(f"the quantizer {cls.name} shapes errors of another dimension than {dim}")
        return cls(metric, *ranges_, shaping)

    def encode(self, rows: Float32Array, centroids: Float32Array | None) -> Encoded:
        return in_batches(rows, None, _BATCH, self._encoded)

    def _encoded(self, rows: Float32Array, centroids: Float32Array | None) -> Encoded:
        if self.shaping is not None:
            return {"codes": self._shaped(rows, self.shaping)}
        codes = self._cells(rows)
        return {"codes": codes, "factors": self._factors(rows, self._varying(codes))}

    def _shaped(self, rows: Float32Array, shaping: Float32Array) -> UInt8Array:
        cells = (rows - like(rows, self.low)) / like(rows, self.step)
        self._count(int(((cells < -0.5) | (cells > self.levels - 0.5)).sum()), cells.size)
        return shaped_codes(cells, shaping)

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
        if self.shaping is None and self.metric is not Metric.L2:
            varying *= -encoded["factors"][:, :1]
        return varying + self.mid

    def pack(self, encoded: Encoded, lists: Lists) -> dict[str, np.ndarray]:
        return pack_rows("int8", lists, encoded["codes"], encoded.get("factors"))

    def open(self, arrays: Mapping[str, np.ndarray], lists: Lists) -> Codes:
        if self.shaping is None:
            return RowSearch("int8", self.dim, Folding(self.metric, self.step, self.mid, whole=True), arrays, lists)
        folding = Folding(self.metric, -self.step, self.mid, whole=True)  # no factor is left to turn the sign
        return RowSearch("int8", self.dim, folding, arrays, lists, bare=True)
