"""Lists without codes: the rows of the probed lists are scored as they are stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vecstore.index.rerank import RowRescorer
from vecstore.kernels.base import Bitmap, Float32Array, Kernels
from vecstore.quantize.base import Found, Lists, Probes


@dataclass(frozen=True, slots=True)
class ExactLists:
    lists: Lists
    stored: RowRescorer

    def search(
        self,
        kernels: Kernels,
        queries: Float32Array,  # (nq, field.dim), as the caller gave them
        probes: Probes,
        m: int,
        allowed: Bitmap | None,
    ) -> Found:
        """The m nearest allowed rows of the probed lists, by exact distances."""
        lists, by, nq = self.lists, self.stored, len(queries)
        rows, distances, scanned = np.empty((nq, m), np.int64), np.empty((nq, m), np.float32), np.empty(nq, np.int64)
        kernels.dense_list_scan(
            by.metric, queries, by.rows, by.inverse_norms, lists.rows, lists.offsets, probes.lists, allowed,
            rows, distances, scanned,
        )  # fmt: skip
        return Found(rows, distances, {"rows_scanned": sum(scanned.tolist())})
