"""Query-aware dimensions: rank by the dimensions that matter to a query, read only these (DIME, Faggioli et al., 2024).

A dimension's importance is u_i = q_i s_i for a feedback vector s (the mean of the first answers' vectors; the query
itself where there are none). Dimensions are kept or dropped by blocks, so that what is dropped is not read: vectors lie
in blocks of dimensions, each a contiguous matrix. Ranking by a masked query is an ordinary inner product with zeros in
the query; under cosine, whole vectors' norms divide it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import InvalidArgument
from vecstore.index.base import Candidates
from vecstore.kernels.base import Bitmap, DenseRows, Float32Array
from vecstore.kernels.block_scan import block_scan

WIDTH = 64  # narrower blocks choose better, and cost more than they save: summing up a short run is most of its work


@dataclass(frozen=True, slots=True)
class BlockedRows:
    """Dense vectors cut into blocks of dimensions, the last one filled up with zeros."""

    blocks: NDArray[Any]  # (nblocks, n, width) in the storage dtype
    inverse_norms: Float32Array | None  # (n,) under cosine, None under dot
    dim: int

    @classmethod
    def cut(cls, rows: DenseRows, inverse_norms: Float32Array | None, width: int = WIDTH) -> Self:
        """Copy row-major vectors (n, dim)."""
        n, dim = rows.shape
        blocks = np.zeros((-(-dim // width), n, width), rows.dtype)
        for place in range(len(blocks)):
            part = rows[:, place * width : (place + 1) * width]
            blocks[place, :, : part.shape[1]] = part
        return cls(blocks, inverse_norms, dim)

    def important(self, queries: Float32Array, feedback: Float32Array, keep: float) -> NDArray[np.int32]:
        """The share `keep` of blocks with the largest sums of q_i s_i for each query, ascending, int32 (nq, kept).
        `feedback` is (nq, dim). Raises InvalidArgument unless 0 < keep <= 1."""
        if not 0 < keep <= 1:
            raise InvalidArgument(f"keep={keep} is not in 0..1, the share of dimensions to rank by")
        sums = self._padded(queries * feedback).reshape(len(queries), len(self.blocks), -1).sum(axis=2)
        kept = ceil(keep * len(self.blocks))
        largest = np.argsort(-sums, axis=1, kind="stable")[:, :kept]
        return np.sort(largest, axis=1).astype(np.int32)

    def search(
        self, queries: Float32Array, kept: NDArray[np.int32], k: int, allowed: Bitmap | None = None
    ) -> Candidates:
        """The k nearest allowed rows by the kept blocks of each query: distances to the query with the others zero."""
        found = Candidates(np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32))
        padded = self._padded(queries)
        block_scan(padded, self.blocks, self.inverse_norms, kept, allowed, found.rows, found.distances)
        width, itemsize = self.blocks.shape[2], self.blocks.itemsize
        found.counters["bytes_read"] = int((kept >= 0).sum()) * self.blocks.shape[1] * width * itemsize
        return found

    def _padded(self, queries: Float32Array) -> Float32Array:
        padded = np.zeros((len(queries), self.blocks.shape[0] * self.blocks.shape[2]), np.float32)
        padded[:, : self.dim] = queries
        return padded
