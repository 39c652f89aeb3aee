"""SymphonyQG of RaBitQ-Library: the neighbours' 1-bit codes in a node's row, own vectors as float32 or 8-bit codes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph_library import GraphLibrary

DEGREE = 32  # 64 is slower at every recall
EF_CONSTRUCTION = 200  # 400 is no better; nor is init="random"


class SymphonyQG(GraphLibrary):
    system = needs = "rabitqlib"

    def __init__(self, bits: int) -> None:
        own = f"{bits}-bit" if bits else "f32"
        super().__init__(f"SymphonyQG {own}", f"R={DEGREE} ef_construction={EF_CONSTRUCTION} bits={bits} pipnn")
        self.bits = bits

    def build(self, rows: np.ndarray, threads: int, folder: Path) -> None:
        import rabitqlib

        self.index: Any = rabitqlib.SymqgIndex(rows.shape[1], DEGREE, "l2", self.bits)
        self.index.build(rows, EF_CONSTRUCTION, threads, "pipnn")

    def save(self, folder: Path) -> None:
        self.index.save(str(folder / "index"))

    def open(self, folder: Path, rows: np.ndarray) -> None:
        import rabitqlib

        self.index = rabitqlib.SymqgIndex.load(str(folder / "index"))

    def batch(self, queries: np.ndarray, k: int, ef: int) -> Any:
        return self.index.search_batch(queries, k, ef, 1)[0]

    def single(self, query: np.ndarray, k: int, ef: int) -> Any:
        return self.index.search(query[None], k, ef)[0]  # it takes no other shape


def graphs() -> Iterable[GraphLibrary]:
    return SymphonyQG(0), SymphonyQG(8)
