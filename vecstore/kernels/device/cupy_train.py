"""k-means on a GPU: `cuda/train.cu`."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from vecstore.kernels.device.cupy_select import METRICS
from vecstore.kernels.device.launch import THREADS, Module
from vecstore.kernels.device.shortlist import Ready
from vecstore.schema import Metric


class CupyTrain:
    module: Module

    def closest(self, products: Any, ready: Ready, add: Any | None, rows: Any, queries: Any, metric: Metric) -> Any:
        nq, (n, dim) = len(queries), rows.shape
        out = cupy.empty(nq, np.int64)
        self.module.each(
            "closest", 32 * nq, products, ready.step, ready.start, ready.spread, ready.lost, add, rows, queries, out,
            np.int32(n), np.int32(dim), np.int32(METRICS[metric]), nq,
        )  # fmt: skip
        return out

    def segment_sums(self, rows: Any, weights: Any | None, lists: Any, counts: Any) -> Any:
        nlist, dim = len(counts), rows.shape[1]
        numbered = lists.astype(np.uint64) << np.uint64(32) | cupy.arange(len(lists), dtype=np.uint64)
        order = (cupy.sort(numbered) & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        starts = cupy.concatenate((cupy.zeros(1, np.int64), cupy.cumsum(counts)))
        out = cupy.empty((nlist, dim), np.float64)
        self.module.launch(
            "segment_sums", (nlist, -(-dim // THREADS)), rows, weights, order, starts, out, np.int32(dim)
        )
        return out
