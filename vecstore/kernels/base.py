"""The kernels protocol: arrays in, `out` arrays back; no ids, no policy, no allocation that the caller can see.

Every operation writes, for each query, the k smallest (distance, row) pairs in ascending order; equal distances are
ordered by row. Places past the number of allowed rows hold row -1 and distance +inf. Inputs are validated by the
caller (finite, right shapes, C-contiguous); kernels check shapes and dtypes and raise ValueError on a mismatch.

Distances: l2 = squared Euclidean, dot = -<q, x>, cosine = 1 - <q, x> * inverse_norms[row] / |q|, hamming = differing
bits. Sums are float32; backends agree with float64 numpy within the tolerance table in tests/kernels.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecstore.schema import Metric

Float32Array: TypeAlias = NDArray[np.float32]
Int64Array: TypeAlias = NDArray[np.int64]
UInt8Array: TypeAlias = NDArray[np.uint8]
Bitmap: TypeAlias = NDArray[np.uint64]  # bit i of word i // 64, least significant first: row i is allowed
DenseRows: TypeAlias = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint16]  # uint16 holds bfloat16


class Kernels(Protocol):
    @property
    def name(self) -> str:
        """native, numba or numpy."""

    @property
    def isa(self) -> str:
        """avx512, avx2, neon, scalar, or what the backend compiles for."""

    @property
    def threads(self) -> int:
        """Threads that one call may use now."""

    def scan(
        self,
        metric: Metric,
        queries: Float32Array,  # (nq, dim)
        rows: DenseRows,  # (n, dim)
        inverse_norms: Float32Array | None,  # (n,), cosine only
        allowed: Bitmap | None,  # ceil(n / 64) words, None allows all
        out_rows: Int64Array,  # (nq, k)
        out_distances: Float32Array,  # (nq, k)
    ) -> None:
        """Exact k nearest rows by l2, dot or cosine."""

    def hamming_scan(
        self,
        queries: UInt8Array,  # (nq, nbytes)
        rows: UInt8Array,  # (n, nbytes), any width
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        """Exact k nearest rows by Hamming distance."""

    def rerank(
        self,
        metric: Metric,
        queries: Float32Array,  # (nq, dim)
        rows: DenseRows,  # (n, dim)
        inverse_norms: Float32Array | None,
        candidates: Int64Array,  # (nq, m), -1 for none
        out_distances: Float32Array,  # (nq, m), +inf where the candidate is -1
    ) -> None:
        """Distances to listed rows, in the candidates' order."""

    def inverse_norms(self, rows: DenseRows, out: Float32Array) -> None:
        """1 / |row| of each row, 0 for a zero row."""

    def set_threads(self, threads: int) -> None:
        """Bound the threads one call may use; 0 means one for each core."""
