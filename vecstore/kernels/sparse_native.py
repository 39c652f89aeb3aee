"""The native backend's searches over sparse rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import _native
from vecstore.kernels.sparse import Bitmap, OpenWindow, Saturation, Window
from vecstore.packed_sparse import PackedRows, StoredRows
from vecstore.sparse import SparseRows


def _arrays(rows: SparseRows) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    return rows.offsets, rows.indices, rows.values


def stored(rows: StoredRows) -> tuple[Any, Any, Any, Any]:
    """Rows as the searches take them: three arrays, or the handle of packed ones."""
    return (None, None, None, opened(rows)) if isinstance(rows, PackedRows) else (*_arrays(rows), None)


def opened(rows: PackedRows) -> Any:
    handle = rows.handles.get("native")
    if handle is None:
        parts = (rows.offsets, rows.terms, rows.flags, rows.lows, rows.starts, rows.highs, rows.values)
        handle = rows.handles["native"] = _native.Packed(*parts, rows.step)
    return handle


def _by(saturation: Saturation | None) -> tuple[NDArray[np.float32] | None, float, float]:
    return (None, 0.0, 0.0) if saturation is None else (saturation.lengths, saturation.base, saturation.slope)


class NativeSparse:
    def sparse_scan(
        self,
        queries: SparseRows,
        rows: StoredRows,
        saturation: Saturation | None,
        allowed: Bitmap | None,
        out_rows: NDArray[np.int64],
        out_distances: NDArray[np.float32],
    ) -> None:
        _native.sparse_scan(*_arrays(queries), *stored(rows), *_by(saturation), allowed, out_rows, out_distances)

    def sparse_rerank(
        self,
        queries: SparseRows,
        rows: StoredRows,
        saturation: Saturation | None,
        candidates: NDArray[np.int64],
        out_distances: NDArray[np.float32],
    ) -> None:
        _native.sparse_rerank(*_arrays(queries), *stored(rows), *_by(saturation), candidates, out_distances)

    def sparse_document_frequency(
        self, terms: NDArray[np.uint32], rows: StoredRows, allowed: Bitmap | None, out: NDArray[np.int64]
    ) -> None:
        _native.sparse_document_frequency(terms, *stored(rows), allowed, out)

    def unpack_places(
        self, rows: PackedRows, listed: NDArray[np.int64], offsets: NDArray[np.int64], out: NDArray[np.uint32]
    ) -> None:
        opened(rows).places(listed, offsets, out)

    def build_window(self, first_row: int, rows: SparseRows, saturation: Saturation | None) -> Window:
        lengths, base, slope = _by(saturation)
        return Window(first_row, len(rows), *_native.build_window(*_arrays(rows), lengths, base, slope), slope)

    def open_window(self, window: Window) -> OpenWindow:
        w = window
        arrays = (w.terms, w.starts, w.steps, w.ids, w.codes, w.dense_lists, w.dense)
        return OpenWindow(w, _native.Window(w.first_row, w.n_rows, *arrays, w.slope))

    def inverted_search(
        self,
        windows: Sequence[OpenWindow],
        queries: SparseRows,
        rows: StoredRows,
        saturation: Saturation | None,
        allowed: Bitmap | None,
        out_rows: NDArray[np.int64],
        out_distances: NDArray[np.float32],
        out_counters: NDArray[np.int64],
    ) -> None:
        handles = [window.handle for window in windows]
        asked = (*_arrays(queries), *stored(rows), *_by(saturation), allowed)
        _native.inverted_search(handles, *asked, out_rows, out_distances, out_counters)

    def inverted_document_frequency(
        self,
        windows: Sequence[OpenWindow],
        terms: NDArray[np.uint32],
        rows: StoredRows,
        allowed: Bitmap | None,
        out: NDArray[np.int64],
    ) -> None:
        handles = [window.handle for window in windows]
        _native.inverted_document_frequency(handles, terms, *stored(rows), allowed, out)
