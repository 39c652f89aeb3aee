"""k-means on a device: the rows stay there, centroids come and go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.dense import upload
from vecstore.schema import Metric

_LEAST = 256  # rows that meet all centroids at once, at least


def closest(device: Device, held: Mapping[str, Any], metric: Metric, rows: Any) -> Any:
    """int64 (n,) on the device: which of the centroids that `dense.upload` brought is nearest to each of float32 rows
    (n, dim) there, of equally near ones the first. One product with all centroids, of as many rows as the cache takes;
    what its rounding may have swapped is scored again in float64. Raises MemoryError."""
    centroids, squares = held["rows"], held["squares"] if metric is Metric.L2 else None
    step = max(_LEAST, device.score_bytes // (4 * len(centroids)))
    out = device.xp.empty(len(rows), np.int64)
    for low in range(0, len(rows), step):
        asked = rows[low : low + step]
        ready = device.prepare(asked, np.dtype(np.float32), metric, held["largest"])
        products = device.products(centroids, ready.array)
        out[low : low + step] = device.closest(products, ready, squares, centroids, asked, metric)
    return out


class Clusters:
    """All methods raise MemoryError where the device is too small."""

    def __init__(self, device: Device, metric: Metric, rows: Float32Array, weights: Float32Array | None) -> None:
        """Rows (n, dim), and what each counts with in sums."""
        self._device, self._metric = device, metric
        self._rows = device.put(rows)
        self._weights = None if weights is None else device.put(weights)

    def homes(self, centroids: Float32Array) -> Int64Array:
        """The nearest centroid of each row (n,)."""
        held = upload(self._device, centroids)
        return self._device.get(closest(self._device, held, self._metric, self._rows))

    def sums(self, lists: Int64Array, nlist: int) -> NDArray[np.float64]:
        """Of the rows of each list (nlist, dim), added up as the host does it."""
        lists_there = self._device.put(lists)
        counts = self._device.put(np.bincount(lists, minlength=nlist))
        return self._device.get(self._device.segment_sums(self._rows, self._weights, lists_there, counts))
