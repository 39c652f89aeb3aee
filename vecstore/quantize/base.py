"""What every quantizer offers: train, encode, decode, and codes that can be searched.

Inside, the metric is L2 (squared Euclidean) or DOT (minus the inner product). The index turns cosine into DOT on unit
vectors, and applies transforms, before a quantizer sees anything. An estimated distance of row x, coded relative to
the centroid c of its list, to query q is

    list_add(q, c) + what the code of x and q say,     list_add = |q - c|^2 for L2, -<q, c> for DOT

so that a query's tables do not depend on the list (RaBitQ, section 4 of specs). Flat codes are one list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vecstore.index_spec import Quantizer as QuantizerSpec
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.places import place_of
from vecstore.schema import Metric

Encoded = dict[str, np.ndarray]  # per-row arrays, first axis n


@dataclass(frozen=True, slots=True)
class Lists:
    """Which rows each list holds: list i has rows[offsets[i] : offsets[i + 1]]. A flat index is one list."""

    offsets: Int64Array  # (nlist + 1,)
    rows: NDArray[np.uint32]  # (n,) row numbers of the segment, ascending within a list

    @property
    def nlist(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True, slots=True)
class Probes:
    """The lists each query visits, nearest first, and the part of the distance that depends on query and list only."""

    lists: NDArray[np.int32]  # (nq, nprobe), -1 for none
    add: Float32Array  # (nq, nprobe): |q - c|^2 for L2, -<q, c> for DOT
    radius: Float32Array  # (nq, nprobe): |q - c|, scales error bounds


@dataclass(slots=True)
class Found:
    """Candidates of a search over codes: (nq, m), ascending by (distance, row), unused places -1 and +inf.

    With error bounds (`eps` > 0), these are the rows that may still be among the k nearest: lower bound <= the k-th
    smallest upper bound, as far as m places hold them."""

    rows: Int64Array
    distances: Float32Array
    counters: dict[str, int] = field(default_factory=dict)


def batch_rows(rows: Float32Array, most: int) -> int:
    """Rows encoded at once: as many as stay in the processor's cache, on a device all that are there."""
    return most if place_of(rows) is None else max(1, len(rows))


def in_batches(
    rows: Float32Array,
    centroids: Float32Array | None,
    most: int,
    encode: Callable[[Float32Array, Float32Array | None], Encoded],
) -> Encoded:
    """`encode` of all rows, `most` at a time."""
    size = batch_rows(rows, most)
    cuts = [slice(start, start + size) for start in range(0, max(1, len(rows)), size)]
    parts = [encode(rows[cut], None if centroids is None else centroids[cut]) for cut in cuts]
    return parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class Codes(ABC):
    """Codes in the layout that the kernels scan, opened from arrays (often mapped from disk, read-only)."""

    @abstractmethod
    def search(
        self,
        kernels: Kernels,
        queries: Float32Array,  # (nq, dim), transformed
        probes: Probes,
        k: int,
        m: int,
        allowed: Bitmap | None,  # over the segment's rows
        eps: float,
    ) -> Found:
        """The m best allowed rows of the probed lists by estimated distance. `eps` > 0 prunes by error bounds of that
        many standard deviations, where the quantizer has them."""


class Quantizer(ABC):
    """A trained quantizer. `dim` is the dimension after transforms, `code_bytes` a row's bytes, factors counted."""

    name: ClassVar[str]
    wider: ClassVar[float] = 0.0  # how many errors more the bounds of near neighbours need than those of all rows
    has_bounds: bool = False  # whether `eps` > 0 makes a search look at fewer rows
    dim: int
    metric: Metric  # L2 or DOT
    code_bytes: float

    @classmethod
    @abstractmethod
    def train(
        cls, spec: QuantizerSpec, metric: Metric, sample: Float32Array, centroids: Float32Array | None, seed: int
    ) -> Self:
        """Fit to a sample (n, dim); `centroids` (n, dim) are the sample rows' list centroids, None for all zero.
        Raises InvalidArgument (BAD_INDEX_SPEC) when the parameters do not suit the dimension or the sample."""

    @abstractmethod
    def encode(self, rows: Float32Array, centroids: Float32Array | None) -> Encoded:
        """Codes of float32 rows (n, dim), where those are. The same bytes for any batch size, number of threads,
        instruction set and device."""

    @abstractmethod
    def decode(self, encoded: Encoded, centroids: Float32Array | None) -> Float32Array:
        """The vectors that the codes stand for (n, dim)."""

    @abstractmethod
    def pack(self, encoded: Encoded, lists: Lists) -> dict[str, np.ndarray]:
        """Codes of all rows (in row order) to the arrays of the scan layout (in list order)."""

    @abstractmethod
    def open(self, arrays: Mapping[str, np.ndarray], lists: Lists) -> Codes:
        """Codes over the arrays of `pack`. Raises Corruption when they do not fit `lists`."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """The trained state, as named arrays."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, metric: Metric, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from `arrays()`. Raises Corruption when they do not fit together."""
