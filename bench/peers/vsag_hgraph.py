"""VSAG (`pyvsag`): HGraph over short codes, scored again by float16. Its Python interface takes one query at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph_library import GraphLibrary

EF_CONSTRUCTION = 200
DEGREE = 32


class Hgraph(GraphLibrary):
    system, needs = "vsag", "pyvsag"

    def __init__(self, codes: str) -> None:
        spec = f"max_degree={DEGREE} ef_construction={EF_CONSTRUCTION} base={codes} precise=fp16"
        super().__init__(f"VSAG HGraph {codes}", spec)
        self.codes = codes

    def make(self, dim: int, threads: int) -> Any:
        import pyvsag

        pyvsag.set_logger_off()
        built = {"base_quantization_type": self.codes, "max_degree": DEGREE, "ef_construction": EF_CONSTRUCTION,
                 "build_thread_count": threads, "use_reorder": True, "precise_quantization_type": "fp16"}  # fmt: skip
        settings = {"dtype": "float32", "metric_type": "l2", "dim": dim, "index_param": built}
        return pyvsag.Index("hgraph", json.dumps(settings))

    def build(self, rows: np.ndarray, threads: int, folder: Path) -> None:
        self.index = self.make(rows.shape[1], threads)
        self.index.build(rows.reshape(-1), np.arange(len(rows)), *rows.shape)

    def save(self, folder: Path) -> None:
        self.index.save(str(folder / "index"))

    def open(self, folder: Path, rows: np.ndarray) -> None:
        self.index = self.make(rows.shape[1], 1)
        self.index.load(str(folder / "index"))

    def batch(self, queries: np.ndarray, k: int, ef: int) -> Any:
        wanted = json.dumps({"hgraph": {"ef_search": ef}})
        return [self.index.knn_search(query, k, wanted)[0] for query in queries]

    def single(self, query: np.ndarray, k: int, ef: int) -> Any:
        return self.index.knn_search(query, k, f'{{"hgraph": {{"ef_search": {ef}}}}}')[0]


def graphs() -> Iterable[GraphLibrary]:
    """Not over sq4_uniform: opened again from a file, version 0.18 finds nothing by it."""
    return [Hgraph(codes) for codes in ("sq8_uniform", "rabitq")]
