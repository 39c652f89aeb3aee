"""Faiss, exact: IndexFlatIP, IndexFlatL2 and IndexBinaryFlat."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.peers.vectors import unit
from bench.systems.base import Peer


class FaissFlat(Peer):
    name = "faiss-flat"
    needs = "faiss"
    metrics = frozenset({"cosine", "l2", "dot", "hamming"})

    def fit(self, train: np.ndarray) -> None:
        import faiss

        if self.setup.threads:
            faiss.omp_set_num_threads(self.setup.threads)
        metric, dim = self.setup.metric, self.setup.dim
        self.index: Any
        if metric == "hamming":
            self.index = faiss.IndexBinaryFlat(dim)
        else:
            self.index = faiss.IndexFlatL2(dim) if metric == "l2" else faiss.IndexFlatIP(dim)
        self.index.add(unit(train) if metric == "cosine" else train)

    def query(self, vector: np.ndarray, k: int) -> np.ndarray:
        asked = unit(vector[None]) if self.setup.metric == "cosine" else vector[None]
        _, rows = self.index.search(asked, k)
        return rows[0]
