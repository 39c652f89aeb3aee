"""LanceDB, exact (no index): an embedded table scanned on disk."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.systems.base import Peer, folder_bytes

DISTANCES = {"cosine": "cosine", "l2": "l2", "dot": "dot"}


class Lance(Peer):
    name = "lancedb"
    needs = "lancedb"
    metrics = frozenset(DISTANCES)

    def fit(self, train: np.ndarray) -> None:
        import lancedb
        import pyarrow

        vectors = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(train.ravel()), train.shape[1])
        table = pyarrow.table({"id": pyarrow.array(np.arange(len(train))), "vector": vectors})
        self.table: Any = lancedb.connect(str(self.setup.folder)).create_table("bench", table)

    def query(self, vector: np.ndarray, k: int) -> np.ndarray:
        search = self.table.search(vector).distance_type(DISTANCES[self.setup.metric]).select(["id", "_distance"])
        return np.asarray(search.limit(k).to_arrow()["id"])

    def facts(self) -> dict[str, Any]:
        return {"disk_bytes": folder_bytes(self.setup.folder)}
