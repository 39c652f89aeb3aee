"""Sums of the rows of each list, in a fixed order: the step of k-means."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array, Int64Array

_BATCH = 16384  # rows in the order of lists that are added up by themselves first


def segment_sums(
    rows: Float32Array, weights: Float32Array | None, lists: Int64Array, nlist: int
) -> NDArray[np.float64]:
    """(nlist, dim), in float64 from the first row to the last; each row is multiplied by its weight (n,) before."""
    sums = np.zeros((nlist, rows.shape[1]))
    order = np.argsort(lists, kind="stable")
    for low in range(0, len(order), _BATCH):
        part = order[low : low + _BATCH]
        own = rows[part] if weights is None else rows[part] * weights[part, None]
        starts = np.flatnonzero(np.diff(lists[part], prepend=-1))
        sums[lists[part[starts]]] += np.add.reduceat(own, starts, axis=0, dtype=np.float64)
    return sums
