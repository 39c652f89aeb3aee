"""hnswlib: its brute force, and its HNSW graph over a sweep of ef."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.systems.base import Peer

SPACES = {"cosine": "cosine", "l2": "l2", "dot": "ip"}
M = 16
EF_CONSTRUCTION = 200


class HnswlibBruteForce(Peer):
    name = "hnswlib-brute-force"
    needs = "hnswlib"
    metrics = frozenset(SPACES)

    def fit(self, train: np.ndarray) -> None:
        import hnswlib

        self.index = hnswlib.BFIndex(space=SPACES[self.setup.metric], dim=self.setup.dim)
        self.index.init_index(max_elements=len(train))
        self.index.add_items(train, np.arange(len(train)))

    def query(self, vector: np.ndarray, k: int) -> np.ndarray:
        rows, _ = self.index.knn_query(vector, k)
        return rows[0].astype(np.int64)


class HnswlibHnsw(Peer):
    name = "hnswlib-hnsw"
    needs = "hnswlib"
    metrics = frozenset(SPACES)

    def fit(self, train: np.ndarray) -> None:
        import hnswlib

        self.index: Any = hnswlib.Index(space=SPACES[self.setup.metric], dim=self.setup.dim)
        self.index.init_index(max_elements=len(train), ef_construction=EF_CONSTRUCTION, M=M)
        self.index.set_num_threads(self.setup.threads or -1)
        self.index.add_items(train, np.arange(len(train)))

    def variants(self) -> list[dict[str, Any]]:
        return [{"ef": ef} for ef in (16, 32, 64, 128, 256)]

    def configure(self, **variant: Any) -> None:
        self.index.set_ef(variant["ef"])

    def query(self, vector: np.ndarray, k: int) -> np.ndarray:
        rows, _ = self.index.knn_query(vector, k)
        return rows[0].astype(np.int64)

    def facts(self) -> dict[str, Any]:
        return {"build": {"M": M, "ef_construction": EF_CONSTRUCTION}}
