"""The Numba backend's searches over sparse rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import sparse_numba, sparse_numpy
from vecstore.kernels.numba_loops import list_allowed
from vecstore.kernels.sparse import Bitmap, Saturation
from vecstore.kernels.sparse_checks import check_document_frequency, check_sparse_rerank, check_sparse_scan
from vecstore.kernels.stop import check_stop
from vecstore.kernels.window_search import SUM_TOP, PortableSparse
from vecstore.sparse import SparseRows

_NO_NORMS = np.empty(0, np.float32)


def _arguments(rows: SparseRows, saturation: Saturation | None) -> tuple[Any, ...]:
    """Rows as the loops take them: float16 travels as int16."""
    values = rows.values.view(np.int16) if rows.values.dtype == np.float16 else rows.values
    norms = _NO_NORMS if saturation is None else saturation.norms()
    return rows.offsets, rows.indices, values, saturation is not None, norms


class NumbaSparse(PortableSparse):
    @abstractmethod
    def _top_k(
        self,
        part: Callable[[NDArray[np.int64], int, int, NDArray[np.int64], NDArray[np.float32]], None],
        n: int,
        bytes_per_row: int,
        allowed: Bitmap | None,
        out_rows: NDArray[np.int64],
        out_distances: NDArray[np.float32],
    ) -> None: ...

    def sparse_scan(
        self,
        queries: SparseRows,
        rows: SparseRows,
        saturation: Saturation | None,
        allowed: Bitmap | None,
        out_rows: NDArray[np.int64],
        out_distances: NDArray[np.float32],
    ) -> None:
        check_sparse_scan(queries, rows, saturation, allowed, out_rows, out_distances)
        by_rank = [sparse_numpy.by_weight(query) for query in queries]
        arrays = _arguments(rows, saturation)

        def part(
            listed: NDArray[np.int64], begin: int, end: int, heap_rows: NDArray[np.int64], heap: NDArray[np.float32]
        ) -> None:
            for q, query in enumerate(by_rank):
                own: tuple[Any, ...] = (allowed is not None, listed, begin, end, heap_rows[q], heap[q])
                sparse_numba.scan(*query, *arrays, *own)

        row_bytes = rows.nbytes // max(1, len(rows))
        self._top_k(part, len(rows), row_bytes * len(queries), allowed, out_rows, out_distances)

    def sparse_rerank(
        self,
        queries: SparseRows,
        rows: SparseRows,
        saturation: Saturation | None,
        candidates: NDArray[np.int64],
        out_distances: NDArray[np.float32],
    ) -> None:
        check_sparse_rerank(queries, rows, saturation, candidates, out_distances)
        arrays = _arguments(rows, saturation)
        for q, query in enumerate(queries):
            check_stop()
            own: tuple[Any, ...] = (candidates[q], out_distances[q])
            sparse_numba.rerank(*sparse_numpy.by_weight(query), *arrays, *own)

    def sparse_document_frequency(
        self, terms: NDArray[np.uint32], rows: SparseRows, allowed: Bitmap | None, out: NDArray[np.int64]
    ) -> None:
        check_document_frequency(terms, rows, allowed, out)
        listed = rows if allowed is None else rows.take(list_allowed(allowed, 0, len(rows)))
        out[:] = sparse_numpy.document_frequency(terms, listed)

    def add_list(
        self, sums: NDArray[np.int32], ids: NDArray[Any], codes: NDArray[np.uint8], weight: int, negative: bool
    ) -> None:
        sparse_numba.add_list(sums, ids, codes, weight, -1 if negative else 1)

    def add_dense(self, sums: NDArray[np.int32], codes: NDArray[np.uint8], weight: int, negative: bool) -> None:
        sparse_numba.add_dense(sums, codes, weight, -1 if negative else 1)

    def kth_sum(self, sums: NDArray[np.int32], flags: NDArray[np.bool_], above: int, k: int) -> int:
        return int(sparse_numba.kth_sum(sums, flags, above, k, np.empty(SUM_TOP + 1, np.int32)))
