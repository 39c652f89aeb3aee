"""kannolo: HNSW walked by 2-bit RaBitQ codes, the best candidates scored again by float16."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph_library import GraphLibrary

M = 16  # level 0 has twice as many
EF_CONSTRUCTION = 200
KIND = {"metric": "dotproduct", "encoder": "rabitq-ext"}  # an index file does not say: given at opening, too
BITS = 2  # its best: 1 bit and 4 bits are slower at every recall
RERANKED = (20, 30, 50, 80)


class Kannolo(GraphLibrary):
    system = needs = "kannolo"

    def __init__(self, order: str) -> None:
        spec = f"m={M} ef_construction={EF_CONSTRUCTION} rabitq-ext {BITS} bits {order}"
        super().__init__("kannolo RaBitQ+f16", spec)
        self.order = order

    def build(self, rows: np.ndarray, threads: int, folder: Path) -> None:
        """Its threads are rayon's, set by RAYON_NUM_THREADS before the process starts."""
        import kannolo

        self.index: Any = kannolo.DenseRerankHNSW.build_from_array(
            rows.reshape(-1), rows.shape[1], m=M, ef_construction=EF_CONSTRUCTION, rabitq_total_bits=BITS,
            graph_type=self.order, **KIND,
        )  # fmt: skip

    def save(self, folder: Path) -> None:
        self.index.save(str(folder / "index"))

    def open(self, folder: Path, rows: np.ndarray) -> None:
        import kannolo

        self.index = kannolo.DenseRerankHNSW.load(str(folder / "index"), graph_type=self.order, **KIND)

    def batch(self, queries: np.ndarray, k: int, ef: int, reranked: int) -> Any:
        found = self.index.batch_search(queries.reshape(-1), k, min(reranked, ef), ef, num_threads=1)[1]
        return found.reshape(len(queries), k)

    def single(self, query: np.ndarray, k: int, ef: int, reranked: int) -> Any:
        return self.index.search(query, k, min(reranked, ef), ef)[1]

    def settings(self) -> list[dict[str, Any]]:
        return [{"reranked": count} for count in RERANKED]

    def own_bytes(self) -> int | None:
        return int(self.index.space_usage_bytes())


def graphs() -> Iterable[GraphLibrary]:
    return Kannolo("standard"), Kannolo("permuted")
