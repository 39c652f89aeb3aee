"""USearch: HNSW over float16 and over int8."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph_library import GraphLibrary

CONNECTIVITY = 16  # level 0 has twice as many
EXPANSION_ADD = 200


class Usearch(GraphLibrary):
    system = needs = "usearch"

    def __init__(self, dtype: str) -> None:
        spec = f"connectivity={CONNECTIVITY} expansion_add={EXPANSION_ADD} ip"
        super().__init__(f"usearch HNSW {dtype}", spec)
        self.dtype = dtype

    def make(self, dim: int) -> Any:
        from usearch.index import Index

        return Index(ndim=dim, metric="ip", dtype=self.dtype, connectivity=CONNECTIVITY, expansion_add=EXPANSION_ADD,
                     enable_key_lookups=False)  # fmt: skip

    def build(self, rows: np.ndarray, threads: int, folder: Path) -> None:
        self.index = self.make(rows.shape[1])
        self.index.add(np.arange(len(rows)), rows, threads=threads)

    def save(self, folder: Path) -> None:
        self.index.save(str(folder / "index"))

    def open(self, folder: Path, rows: np.ndarray) -> None:
        self.index = self.make(rows.shape[1])
        self.index.load(str(folder / "index"))

    def batch(self, queries: np.ndarray, k: int, ef: int) -> Any:
        if self.index.expansion_search != ef:
            self.index.expansion_search = ef
        return self.index.search(queries, k, threads=1).keys

    def single(self, query: np.ndarray, k: int, ef: int) -> Any:
        return self.batch(query, k, ef)

    def own_bytes(self) -> int | None:
        return int(self.index.memory_usage)


def graphs() -> Iterable[GraphLibrary]:
    return Usearch("f16"), Usearch("i8")
