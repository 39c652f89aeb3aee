"""numpy: one BLAS product a query and a partition; what one writes without a database."""

from __future__ import annotations

import numpy as np

from bench.peers.vectors import unit
from bench.systems.base import Peer


class NumpyBlas(Peer):
    name = "numpy-blas"
    needs = "numpy"
    metrics = frozenset({"cosine", "l2", "dot", "hamming"})

    def fit(self, train: np.ndarray) -> None:
        metric = self.setup.metric
        self.rows = unit(train) if metric == "cosine" else train.copy()
        self.squares = np.einsum("ij,ij->i", train, train) if metric == "l2" else None

    def query(self, vector: np.ndarray, k: int) -> np.ndarray:
        if self.setup.metric == "hamming":
            distances = np.bitwise_count(self.rows ^ vector).sum(axis=1, dtype=np.int32)
        else:
            distances = -(self.rows @ vector)
            if self.squares is not None:
                distances = 2 * distances + self.squares
        k = min(k, len(distances))
        near = np.argpartition(distances, k - 1)[:k]
        return near[np.argsort(distances[near], kind="stable")]
