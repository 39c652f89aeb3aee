"""Qdrant without a server: the Edge shard (its Rust engine in process), and the Python client's local mode."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.systems.base import Peer, folder_bytes

DISTANCES = {"cosine": "Cosine", "l2": "Euclid", "dot": "Dot"}
BATCH_POINTS = 1_000


class QdrantEdge(Peer):
    name = "qdrant-edge"
    needs = "qdrant_edge"
    metrics = frozenset(DISTANCES)

    def fit(self, train: np.ndarray) -> None:
        import qdrant_edge as qdrant

        vectors = qdrant.EdgeVectorParams(
            size=self.setup.dim, distance=getattr(qdrant.Distance, DISTANCES[self.setup.metric])
        )
        config = qdrant.EdgeConfig(vectors=vectors, max_search_threads=self.setup.threads or None)
        self.shard: Any = qdrant.EdgeShard.create(str(self.setup.folder / "shard"), config)
        self.opened.callback(self.shard.close)
        for low in range(0, len(train), BATCH_POINTS):
            points = [
                qdrant.Point(id=row, vector=vector.tolist(), payload={})
                for row, vector in enumerate(train[low : low + BATCH_POINTS], low)
            ]
            self.shard.update(qdrant.UpdateOperation.upsert_points(points))
        self.shard.flush()
        self.shard.optimize()
        self.configure(exact=True)

    def variants(self) -> list[dict[str, Any]]:
        return [{"exact": True}, *({"ef": ef} for ef in (16, 32, 64, 128, 256))]

    def configure(self, **variant: Any) -> None:
        import qdrant_edge as qdrant

        self.params = qdrant.SearchParams(hnsw_ef=variant.get("ef"), exact=variant.get("exact", False))

    def query(self, vector: np.ndarray, k: int) -> list[int]:
        import qdrant_edge as qdrant

        nearest = qdrant.Query.Nearest(vector.tolist())
        request = qdrant.QueryRequest(limit=k, query=nearest, params=self.params, with_payload=False, with_vector=False)
        return [point.id for point in self.shard.query(request)]

    def facts(self) -> dict[str, Any]:
        return {"disk_bytes": folder_bytes(self.setup.folder)}


class QdrantLocal(Peer):
    name = "qdrant-client-local"
    needs = "qdrant_client"
    metrics = frozenset(DISTANCES)

    def fit(self, train: np.ndarray) -> None:
        import qdrant_client
        from qdrant_client import models

        distance = getattr(models.Distance, DISTANCES[self.setup.metric].upper())
        self.client = qdrant_client.QdrantClient(":memory:")
        self.opened.callback(self.client.close)
        self.client.create_collection(
            "bench", vectors_config=models.VectorParams(size=self.setup.dim, distance=distance)
        )
        for low in range(0, len(train), BATCH_POINTS):
            rows = train[low : low + BATCH_POINTS]
            ids = list(range(low, low + len(rows)))
            self.client.upsert("bench", models.Batch(ids=ids, vectors=rows.tolist()))

    def query(self, vector: np.ndarray, k: int) -> list[Any]:
        answer = self.client.query_points("bench", query=vector, limit=k, with_payload=False)
        return [point.id for point in answer.points]
