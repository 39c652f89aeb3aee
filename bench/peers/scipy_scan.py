"""scipy: one product of the query with all rows (CSR), or of the query's terms with their lists (the transpose)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.sparse_library import SparseLibrary
from vecstore.sparse import SparseRows


class ScipyScan(SparseLibrary):
    system = needs = "scipy"

    def __init__(self, by: str) -> None:
        super().__init__(f"scipy {by}", "float32")
        self.by_lists = by == "lists"

    def prepare(self, rows: SparseRows, columns: int, folder: Path) -> None:
        self.columns = columns
        self.rows = self.matrix(rows)

    def matrix(self, rows: SparseRows) -> Any:
        from scipy import sparse

        indices = rows.indices.astype(np.int32)
        return sparse.csr_matrix((rows.values, indices, rows.offsets), shape=(len(rows), self.columns))

    def build(self, folder: Path) -> None:
        self.index = self.rows.T.tocsr() if self.by_lists else self.rows

    def save(self, folder: Path) -> int:
        from scipy import sparse

        sparse.save_npz(folder / "index.npz", self.index, compressed=False)
        return (folder / "index.npz").stat().st_size

    def open(self, folder: Path) -> None:
        from scipy import sparse

        self.index = sparse.load_npz(folder / "index.npz")
        self.columns = self.index.shape[0 if self.by_lists else 1]

    def query(self, row: SparseRows) -> Any:
        return self.matrix(row)

    def queries(self, rows: SparseRows, folder: Path) -> Any:
        return self.matrix(rows)

    def single(self, query: Any, k: int, **settings: Any) -> Any:
        if self.by_lists:
            scores = (query @ self.index).toarray()[0]
        else:
            scores = self.index @ query.toarray()[0]
        return np.argpartition(-scores, k - 1)[:k]

    def batch(self, queries: Any, k: int, **settings: Any) -> Any:
        products = queries @ self.index if self.by_lists else (self.index @ queries.T.tocsc()).T
        return np.argpartition(-products.toarray(), k - 1, axis=1)[:, :k]

    def row_of(self, answer: Any) -> np.ndarray:
        return np.asarray(answer, np.int64)


def libraries(rows: SparseRows, columns: int) -> Iterable[SparseLibrary]:
    return ScipyScan("rows"), ScipyScan("lists")
