"""Searches over sparse rows: the part of the kernels protocol that reads `SparseRows`.

A row answers a query if they share an index; others do not, whatever k is. Its distance is minus the score,

    score = sum over shared indices of weight * value,    or    weight * (value / (value + norm of the row))

where the caller gives norms (BM25, with k1 + 1 in the weights). Products are summed in float32 by descending |weight|,
then ascending index, whatever form of the rows is read: every backend and instruction set, scans and inverted lists,
give the same bits.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecstore.sparse import SparseRows

Bitmap: TypeAlias = NDArray[np.uint64]


class SparseKernels(Protocol):
    def sparse_scan(
        self,
        queries: SparseRows,  # float32 values
        rows: SparseRows,
        norms: NDArray[np.float32] | None,  # (n,), positive; or 0 with k1 = 0
        allowed: Bitmap | None,
        out_rows: NDArray[np.int64],  # (nq, k)
        out_distances: NDArray[np.float32],  # (nq, k)
    ) -> None:
        """The k nearest allowed rows among those that share an index with the query, by reading all of them."""

    def sparse_rerank(
        self,
        queries: SparseRows,
        rows: SparseRows,
        norms: NDArray[np.float32] | None,
        candidates: NDArray[np.int64],  # (nq, m), -1 for none
        out_distances: NDArray[np.float32],  # (nq, m), +inf where the candidate is -1 or shares no index
    ) -> None:
        """Distances of listed rows, in the candidates' order."""

    def sparse_document_frequency(
        self,
        terms: NDArray[np.uint32],  # (nterms,) strictly ascending
        rows: SparseRows,
        allowed: Bitmap | None,
        out: NDArray[np.int64],  # (nterms,)
    ) -> None:
        """How many allowed rows hold each term."""
