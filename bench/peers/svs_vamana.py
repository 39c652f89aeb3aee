"""SVS (`scalable-vs`): Vamana over float32, and over LVQ codes, which the wheel has on Intel's processors only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph_library import GraphLibrary

WINDOW = 200
ALPHA = 1.2
LVQ = {"LVQ4x8": (4, 8), "LVQ8": (8, 0)}


class SvsVamana(GraphLibrary):
    system, needs = "svs", "svs"

    def __init__(self, degree: int, codes: str = "f32") -> None:
        super().__init__(f"SVS Vamana {codes}", f"R={degree} window={WINDOW} alpha={ALPHA} l2")
        self.degree, self.codes = degree, codes

    def build(self, rows: np.ndarray, threads: int, folder: Path) -> None:
        import svs

        parameters = svs.VamanaBuildParameters(graph_max_degree=self.degree, window_size=WINDOW, alpha=ALPHA)
        self.index: Any = svs.Vamana.build(parameters, rows, svs.DistanceType.L2, num_threads=threads)

    def save(self, folder: Path) -> None:
        self.index.save(*(str(folder / name) for name in ("config", "graph", "data")))

    def open(self, folder: Path, rows: np.ndarray) -> None:
        import svs

        data: Any = svs.VectorDataLoader(str(folder / "data"), svs.DataType.float32)
        if self.codes in LVQ:
            data = svs.LVQLoader(data, *LVQ[self.codes], padding=32)
        graph = svs.GraphLoader(str(folder / "graph"))
        self.index = svs.Vamana(str(folder / "config"), graph, data, svs.DistanceType.L2, num_threads=1)

    def batch(self, queries: np.ndarray, k: int, ef: int) -> Any:
        if self.index.search_window_size != ef:
            self.index.search_window_size = ef
        return self.index.search(queries, k)[0]

    def single(self, query: np.ndarray, k: int, ef: int) -> Any:
        return self.batch(query, k, ef)


def graphs() -> Iterable[GraphLibrary]:
    """Asked for LVQ on another maker's processor, the library ends the process: so it is not asked."""
    cpuinfo = Path("/proc/cpuinfo")
    intel = cpuinfo.exists() and "GenuineIntel" in cpuinfo.read_text(encoding="utf-8")
    codes = ["f32", *(LVQ if intel else ())]
    return [SvsVamana(degree, code) for code in codes for degree in (32, 64)]
