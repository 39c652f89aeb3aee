"""kannolo: HNSW over sparse vectors, as they are, in delta-coded and 8-bit forms, and with a pruned first stage."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.sparse_library import SparseLibrary
from vecstore.sparse import SparseRows

EF_CONSTRUCTION = 200
EFS = (10, 15, 20, 30, 40, 60, 80, 120, 160, 200, 300, 400)
RERANKED = (20, 40, 80)
KINDS: dict[str, dict[str, Any]] = {  # of SparseNameHNSW
    "Plain": {},
    "DotPacking8": {},
    "FixedU8": {"metric": "dotproduct"},
    "Rerank": {},
}


class Kannolo(SparseLibrary):
    system = needs = "kannolo"

    def __init__(self, kind: str, m: int, order: str = "permuted") -> None:
        super().__init__(f"kannolo {kind}", f"m={m} ef_construction={EF_CONSTRUCTION} {order}")
        self.kind, self.m, self.order = kind, m, order

    def prepare(self, rows: SparseRows, columns: int, folder: Path) -> None:
        self.arrays = flat(rows)

    def build(self, folder: Path) -> None:
        """Its threads are rayon's, set by RAYON_NUM_THREADS before the process starts."""
        self.index: Any = self.class_of().build_from_arrays(
            *self.arrays, m=self.m, ef_construction=EF_CONSTRUCTION, graph_type=self.order, **KINDS[self.kind]
        )

    def class_of(self) -> Any:
        import kannolo

        return getattr(kannolo, f"Sparse{self.kind}HNSW")

    def save(self, folder: Path) -> int:
        self.index.save(str(folder / "index"))
        return (folder / "index").stat().st_size

    def open(self, folder: Path) -> None:
        self.index = self.class_of().load(str(folder / "index"), graph_type=self.order, **KINDS[self.kind])

    def query(self, row: SparseRows) -> Any:
        return flat(row)[:2]

    def single(self, query: Any, k: int, **settings: Any) -> Any:
        return self.index.search(*query, k, **settings)

    def queries(self, rows: SparseRows, folder: Path) -> Any:
        return flat(rows)

    def batch(self, queries: Any, k: int, **settings: Any) -> Any:
        return self.index.batch_search(*queries, k, num_threads=1, **settings), k

    def row_of(self, answer: Any) -> np.ndarray:
        found = np.asarray(answer[1]).astype(np.int64)
        return found[found >= 0]

    def rows_of(self, answer: Any) -> list[np.ndarray]:
        (_, found), k = answer
        return list(np.asarray(found).astype(np.int64).reshape(-1, k))

    def settings(self) -> list[dict[str, Any]]:
        return [{"ef_search": ef} for ef in EFS]


class KannoloRerank(Kannolo):
    """A graph over the heaviest entries, `kept` percent of each vector's mass; the best scored again by all."""

    def __init__(self, kept: int, m: int) -> None:
        super().__init__("Rerank", m)
        self.kept = kept
        self.spec += f" prune_percentage={kept}"

    def build(self, folder: Path) -> None:
        self.index = self.class_of().build_from_arrays(
            *self.arrays, self.kept, m=self.m, ef_construction=EF_CONSTRUCTION, graph_type=self.order
        )

    def settings(self) -> list[dict[str, Any]]:
        return [
            {"ef_search": ef, "k_candidates": count, "alpha": alpha}
            for ef, count, alpha in itertools.product(EFS, RERANKED, (None, 0.9))
            if count <= ef
        ]

    def single(self, query: Any, k: int, **settings: Any) -> Any:
        return self.index.search(*query, k=k, **settings)

    def batch(self, queries: Any, k: int, **settings: Any) -> Any:
        return self.index.batch_search(*queries, k=k, num_threads=1, **settings), k


def flat(rows: SparseRows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rows.indices.astype(np.int32), rows.values.astype(np.float32), rows.offsets


def libraries(rows: SparseRows, columns: int) -> Iterable[SparseLibrary]:
    return (
        Kannolo("Plain", 16),
        Kannolo("DotPacking8", 16),
        Kannolo("FixedU8", 16),
        *(KannoloRerank(kept, 16) for kept in (50, 70)),
    )
