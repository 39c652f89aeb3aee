"""Faiss HNSW: over float32, over 8-bit scalars, and over 8-bit scalars refined by float32."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph_library import GraphLibrary

EF_CONSTRUCTION = 200
FAMILIES = {
    "HNSW32,Flat": "faiss HNSW f32",
    "HNSW32,SQ8": "faiss HNSW SQ8",
    "HNSW32,SQ8,RFlat": "faiss HNSW SQ8+refine",
}


class FaissHnsw(GraphLibrary):
    system = needs = "faiss"

    def __init__(self, factory: str) -> None:
        super().__init__(FAMILIES[factory], f"{factory} efConstruction={EF_CONSTRUCTION} l2")
        self.factory = factory

    def build(self, rows: np.ndarray, threads: int, folder: Path) -> None:
        import faiss

        faiss.omp_set_num_threads(threads)
        self.index: Any = faiss.index_factory(rows.shape[1], self.factory, faiss.METRIC_L2)
        inner = faiss.downcast_index(self.index.base_index) if self.refined else self.index
        inner.hnsw.efConstruction = EF_CONSTRUCTION
        self.index.train(rows)
        self.index.add(rows)

    @property
    def refined(self) -> bool:
        return self.factory.endswith("RFlat")

    def save(self, folder: Path) -> None:
        import faiss

        faiss.write_index(self.index, str(folder / "index"))

    def open(self, folder: Path, rows: np.ndarray) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self.index = faiss.read_index(str(folder / "index"))

    def batch(self, queries: np.ndarray, k: int, ef: int, factor: int) -> Any:
        import faiss

        params: Any = faiss.SearchParametersHNSW(efSearch=ef)
        if self.refined:
            params = faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=params)
        return self.index.search(queries, k, params=params)[1]

    def single(self, query: np.ndarray, k: int, ef: int, factor: int) -> Any:
        return self.batch(query[None], k, ef, factor)

    def settings(self) -> list[dict[str, Any]]:
        return [{"factor": factor} for factor in ((2, 4) if self.refined else (1,))]


def graphs() -> Iterable[GraphLibrary]:
    return [FaissHnsw(factory) for factory in FAMILIES]
