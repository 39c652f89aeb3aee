"""hnswlib: its brute force, and its HNSW graph over a sweep of ef."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph_library import GraphLibrary
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


class Hnswlib(GraphLibrary):
    system = needs = "hnswlib"

    def __init__(self, m: int) -> None:
        super().__init__("hnswlib", f"M={m} ef_construction={EF_CONSTRUCTION} ip")
        self.m = m

    def make(self, dim: int) -> Any:
        import hnswlib

        return hnswlib.Index(space="ip", dim=dim)

    def build(self, rows: np.ndarray, threads: int, folder: Path) -> None:
        self.index = self.make(rows.shape[1])
        self.index.init_index(max_elements=len(rows), ef_construction=EF_CONSTRUCTION, M=self.m)
        self.index.add_items(rows, np.arange(len(rows)), num_threads=threads)

    def save(self, folder: Path) -> None:
        self.index.save_index(str(folder / "index"))

    def open(self, folder: Path, rows: np.ndarray) -> None:
        self.index = self.make(rows.shape[1])
        self.index.load_index(str(folder / "index"))
        self.index.set_num_threads(1)

    def batch(self, queries: np.ndarray, k: int, ef: int) -> Any:
        self.index.set_ef(ef)
        return self.index.knn_query(queries, k, num_threads=1)[0]

    def single(self, query: np.ndarray, k: int, ef: int) -> Any:
        return self.batch(query, k, ef)


def graphs() -> Iterable[GraphLibrary]:
    return Hnswlib(M), Hnswlib(24)
