"""`dense_list_scan` by a kernel's `rerank`: where rows are on a device, or are checked or copied as they are read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Bitmap, DenseRows, Float32Array, Int64Array
from vecstore.kernels.rows_checks import check_dense_list_scan
from vecstore.kernels.smallest import smallest
from vecstore.schema import Metric

_PLACES = 1 << 21  # candidates gathered at once


def list_scan(
    rerank: Callable[..., None],
    metric: Metric,
    queries: Float32Array,
    rows: DenseRows,
    inverse_norms: Float32Array | None,
    list_rows: NDArray[np.uint32],
    offsets: Int64Array,
    probes: NDArray[np.int32],
    allowed: Bitmap | None,
    out_rows: Int64Array,
    out_distances: Float32Array,
    out_scanned: Int64Array,
) -> None:
    k = out_rows.shape[1]
    starts = np.where(probes >= 0, offsets[probes], 0)
    sizes = np.where(probes >= 0, offsets[probes + 1], 0) - starts
    sizes.sum(axis=1, out=out_scanned)
    step = max(1, _PLACES // max(1, int(out_scanned.max(initial=1))))
    for low in range(0, len(queries) if k else 0, step):
        part = slice(low, low + step)
        gathered = _gather(list_rows, starts[part], sizes[part], allowed)
        distances = np.empty(gathered.shape, np.float32)
        rerank(metric, queries[part], rows, inverse_norms, gathered, distances)
        out_rows[part], out_distances[part] = smallest(gathered, distances, k)


def _gather(list_rows: NDArray[np.uint32], starts: Int64Array, sizes: Int64Array, allowed: Bitmap | None) -> Int64Array:
    """The rows of each query's lists, one list after another, then -1; and -1 for those that are not allowed."""
    flat = sizes.ravel()
    places = np.repeat(starts.ravel() - (np.cumsum(flat) - flat), flat) + np.arange(int(flat.sum()))
    rows = list_rows[places].astype(np.int64)
    if allowed is not None:
        words = allowed[rows >> 6] >> (rows & 63).astype(np.uint64)
        rows[(words & np.uint64(1)) == 0] = -1
    totals = sizes.sum(axis=1)
    out = np.full((len(sizes), max(1, int(totals.max(initial=1)))), -1, np.int64)
    out[np.arange(out.shape[1])[None, :] < totals[:, None]] = rows
    return out


class ListsByCandidates:
    """`dense_list_scan` of kernels written in Python."""

    rerank: Callable[..., None]

    def dense_list_scan(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: DenseRows,
        inverse_norms: Float32Array | None,
        list_rows: NDArray[np.uint32],
        offsets: Int64Array,
        probes: NDArray[np.int32],
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_scanned: Int64Array,
    ) -> None:
        lists, outputs = (list_rows, offsets, probes), (out_rows, out_distances, out_scanned)
        check_dense_list_scan(metric, queries, rows, inverse_norms, *lists, allowed, *outputs)
        list_scan(self.rerank, metric, queries, rows, inverse_norms, *lists, allowed, *outputs)
