"""Glass (`pyglass-portable`, an AVX2 build): HNSW walked by 4-bit or 8-bit codes, scored again by float16."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph_library import GraphLibrary

DEGREE = 32
EF_CONSTRUCTION = 200


class Glass(GraphLibrary):
    system = needs = "glass"

    def __init__(self, codes: str) -> None:
        super().__init__(f"glass HNSW {codes}", f"R={DEGREE} L={EF_CONSTRUCTION} refine=FP16 l2")
        self.codes = codes

    def build(self, rows: np.ndarray, threads: int, folder: Path) -> None:
        import glass

        glass.set_num_threads(threads)
        self.graph = glass.Index("HNSW", "L2", "SQ8U", R=DEGREE, L=EF_CONSTRUCTION).build(rows)

    def save(self, folder: Path) -> None:
        self.graph.save(str(folder / "graph"))

    def open(self, folder: Path, rows: np.ndarray) -> None:
        import glass

        graph = glass.Graph(str(folder / "graph"))
        self.searcher: Any = glass.Searcher(graph, np.array(rows), "L2", self.codes, "FP16")
        self.searcher.set_ef(32)
        self.searcher.optimize(1)
        self.ef = 32

    def batch(self, queries: np.ndarray, k: int, ef: int) -> Any:
        self.use(ef)
        return self.searcher.batch_search(queries, k, 1)[0]

    def single(self, query: np.ndarray, k: int, ef: int) -> Any:
        self.use(ef)
        return self.searcher.search(query, k)[0]

    def use(self, ef: int) -> None:
        if ef != self.ef:
            self.searcher.set_ef(ef)
            self.ef = ef


def graphs() -> Iterable[GraphLibrary]:
    return Glass("SQ4U"), Glass("SQ8U")
