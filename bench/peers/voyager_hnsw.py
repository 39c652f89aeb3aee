"""Voyager: HNSW over float32 and over 8-bit floats."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph_library import GraphLibrary

M = 16  # level 0 has twice as many
EF_CONSTRUCTION = 200


class Voyager(GraphLibrary):
    system = needs = "voyager"

    def __init__(self, kind: str) -> None:
        super().__init__(f"voyager HNSW {kind}", f"M={M} ef_construction={EF_CONSTRUCTION} l2")
        self.kind = kind

    def build(self, rows: np.ndarray, threads: int, folder: Path) -> None:
        import voyager

        self.index: Any = voyager.Index(
            voyager.Space.Euclidean, rows.shape[1], M=M, ef_construction=EF_CONSTRUCTION, max_elements=len(rows),
            storage_data_type=getattr(voyager.StorageDataType, self.kind),
        )  # fmt: skip
        self.index.add_items(rows, num_threads=threads)

    def save(self, folder: Path) -> None:
        self.index.save(str(folder / "index"))

    def open(self, folder: Path, rows: np.ndarray) -> None:
        import voyager

        self.index = voyager.Index.load(str(folder / "index"))

    def batch(self, queries: np.ndarray, k: int, ef: int) -> Any:
        return self.index.query(queries, k, 1, ef)[0]

    def single(self, query: np.ndarray, k: int, ef: int) -> Any:
        return self.index.query(query, k, 1, ef)[0]


def graphs() -> Iterable[GraphLibrary]:
    return Voyager("Float32"), Voyager("E4M3")
