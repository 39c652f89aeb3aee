"""Qdrant's Edge shard over multi-vectors: its graph, walked by MaxSim."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np

from vecstore.tokens import TokenRows

BATCH_POINTS = 1_000
WIDTHS = (8, 16, 32, 64, 128, 256, 512)


class QdrantMulti:
    def __init__(self, rows: TokenRows) -> None:
        """Indexed in a temporary folder, by one thread."""
        import qdrant_edge as qdrant

        began = time.process_time()
        self.opened = ExitStack()
        folder = self.opened.enter_context(tempfile.TemporaryDirectory(prefix="vecstore-bench-"))
        vectors = qdrant.EdgeVectorParams(
            size=rows.dim,
            distance=qdrant.Distance.Dot,
            multivector_config=qdrant.MultiVectorConfig(qdrant.MultiVectorComparator.MaxSim),
        )
        config = qdrant.EdgeConfig(vectors=vectors, max_search_threads=1)
        (Path(folder) / "shard").mkdir()
        self.shard: Any = qdrant.EdgeShard.create(str(Path(folder) / "shard"), config)
        self.opened.callback(self.shard.close)
        for low in range(0, len(rows), BATCH_POINTS):
            part = rows[low : low + BATCH_POINTS]
            points = [
                qdrant.Point(id=row, vector=one.tokens.astype(np.float32).tolist(), payload={})
                for row, one in enumerate(part, low)
            ]
            self.shard.update(qdrant.UpdateOperation.upsert_points(points))
        self.shard.flush()
        self.shard.optimize()
        self.build_cpu_s = round(time.process_time() - began, 1)

    def search(self, query: TokenRows, k: int, ef: int) -> np.ndarray:
        import qdrant_edge as qdrant

        nearest = qdrant.Query.Nearest(query.tokens.tolist())
        params = qdrant.SearchParams(hnsw_ef=ef, exact=False)
        request = qdrant.QueryRequest(limit=k, query=nearest, params=params, with_payload=False, with_vector=False)
        return np.array([point.id for point in self.shard.query(request)], np.int64)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.opened.close()
