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
from vecstore.kernels.sparse_checks import (
    check_document_frequency,
    check_sparse_rerank,
    check_sparse_scan,
    check_unpack,
)
from vecstore.kernels.stop import check_stop
from vecstore.kernels.window_search import SUM_TOP, PortableSparse
from vecstore.offsets import taken_of
from vecstore.packed_sparse import PackedRows, StoredRows
from vecstore.sparse import SparseRows

BLOCK = 4096  # packed rows that are unpacked at a time
_NO_NORMS = np.empty(0, np.float32)


def _arguments(rows: SparseRows, saturation: Saturation | None) -> tuple[Any, ...]:
    """Rows as the loops take them: float16 travels as int16."""
    values = rows.values.view(np.int16) if rows.values.dtype == np.float16 else rows.values
    norms = _NO_NORMS if saturation is None else saturation.norms()
    return rows.offsets, rows.indices, values, saturation is not None, norms


def plain(rows: StoredRows, listed: NDArray[np.int64]) -> SparseRows:
    """Copies of the rows listed."""
    if not isinstance(rows, PackedRows) or not rows.delta:
        return rows.take(listed)
    offsets, entries = taken_of(rows.offsets, listed)
    places = np.empty(int(offsets[-1]), np.uint32)
    _unpack(rows, listed, offsets, places)
    return rows.rows_of(offsets, places, entries)


def _unpack(rows: PackedRows, listed: NDArray[np.int64], offsets: NDArray[np.int64], out: NDArray[np.uint32]) -> None:
    if not rows.delta:
        out[:] = rows.lows[taken_of(rows.offsets, listed)[1]]
        return
    sparse_numba.unpack(rows.offsets, rows.flags, rows.lows, rows.starts, rows.highs, listed, offsets, out)


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
        rows: StoredRows,
        saturation: Saturation | None,
        allowed: Bitmap | None,
        out_rows: NDArray[np.int64],
        out_distances: NDArray[np.float32],
    ) -> None:
        check_sparse_scan(queries, rows, saturation, allowed, out_rows, out_distances)
        by_rank = [sparse_numpy.by_weight(query) for query in queries]
        arrays: tuple[Any, ...] = () if isinstance(rows, PackedRows) else _arguments(rows, saturation)

        def part(
            listed: NDArray[np.int64], begin: int, end: int, heap_rows: NDArray[np.int64], heap: NDArray[np.float32]
        ) -> None:
            if not isinstance(rows, PackedRows):
                for q, query in enumerate(by_rank):
                    own: tuple[Any, ...] = (allowed is not None, listed, begin, end, heap_rows[q], heap[q])
                    sparse_numba.scan(*query, *arrays, *own)
                return
            for low in range(begin, end, BLOCK):
                places = np.arange(low, min(low + BLOCK, end))
                numbers = places if allowed is None else listed[places]
                block = _arguments(plain(rows, numbers), saturation and saturation.take(numbers))
                for q, query in enumerate(by_rank):
                    mine: tuple[Any, ...] = (numbers, heap_rows[q], heap[q])
                    sparse_numba.scan_block(*query, *block, *mine)

        row_bytes = rows.nbytes // max(1, len(rows))
        self._top_k(part, len(rows), row_bytes * len(queries), allowed, out_rows, out_distances)

    def sparse_rerank(
        self,
        queries: SparseRows,
        rows: StoredRows,
        saturation: Saturation | None,
        candidates: NDArray[np.int64],
        out_distances: NDArray[np.float32],
    ) -> None:
        check_sparse_rerank(queries, rows, saturation, candidates, out_distances)
        arrays: tuple[Any, ...] = () if isinstance(rows, PackedRows) else _arguments(rows, saturation)
        for q, query in enumerate(queries):
            check_stop()
            mine = candidates[q]
            if isinstance(rows, PackedRows):
                listed, mine = np.unique(mine, return_inverse=True)
                mine = mine.astype(np.int64) - int(len(listed) > 0 and listed[0] < 0)
                listed = listed[listed >= 0]
                arrays = _arguments(plain(rows, listed), saturation and saturation.take(listed))
            own: tuple[Any, ...] = (mine, out_distances[q])
            sparse_numba.rerank(*sparse_numpy.by_weight(query), *arrays, *own)

    def sparse_document_frequency(
        self, terms: NDArray[np.uint32], rows: StoredRows, allowed: Bitmap | None, out: NDArray[np.int64]
    ) -> None:
        check_document_frequency(terms, rows, allowed, out)
        listed = np.arange(len(rows)) if allowed is None else list_allowed(allowed, 0, len(rows))
        out[:] = 0
        for part in sparse_numpy.blocks_of(len(listed)):
            out += sparse_numpy.document_frequency(terms, plain(rows, listed[part]))

    def unpack_places(
        self, rows: PackedRows, listed: NDArray[np.int64], offsets: NDArray[np.int64], out: NDArray[np.uint32]
    ) -> None:
        check_unpack(rows, listed, offsets, out)
        _unpack(rows, listed, offsets, out)

    def add_list(
        self, sums: NDArray[np.int32], ids: NDArray[Any], codes: NDArray[np.uint8], weight: int, negative: bool
    ) -> None:
        sparse_numba.add_list(sums, ids, codes, weight, -1 if negative else 1)

    def add_dense(self, sums: NDArray[np.int32], codes: NDArray[np.uint8], weight: int, negative: bool) -> None:
        sparse_numba.add_dense(sums, codes, weight, -1 if negative else 1)

    def kth_sum(self, sums: NDArray[np.int32], flags: NDArray[np.bool_], above: int, k: int) -> int:
        return int(sparse_numba.kth_sum(sums, flags, above, k, np.empty(SUM_TOP + 1, np.int32)))
