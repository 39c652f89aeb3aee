"""numpy's answer to what training asks of a device."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.device.shortlist import Ready
from vecstore.kernels.segment_sums import segment_sums
from vecstore.schema import Metric


class ArrayTrain:
    def closest(
        self, products: Any, ready: Ready, add: Any | None, rows: Any, queries: Any, metric: Metric
    ) -> NDArray[np.int64]:
        own, asked = rows.astype(np.float64), queries.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            distances = -(asked @ own.T)
            if metric is Metric.L2:
                distances = 2 * distances + (own * own).sum(axis=1) + (asked * asked).sum(axis=1)[:, None]
            rounded = distances.astype(np.float32)
        nearest: NDArray[np.int64] = np.where(np.isnan(rounded), np.float32(np.inf), rounded).argmin(axis=1)
        return nearest

    def segment_sums(self, rows: Any, weights: Any | None, lists: Any, counts: Any) -> NDArray[np.float64]:
        return segment_sums(rows, weights, lists, len(counts))
