"""Qdrant without a server: the Edge shard (its Rust engine in process), and the Python client's local mode."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph_library import GraphLibrary
from bench.payloads import Payload, payloads, stacked
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


class QdrantGraph(GraphLibrary):
    """Loading the points is part of its build."""

    system, needs = "qdrant-edge", "qdrant_edge"

    def __init__(self, codes: str, payload: Payload | None = None) -> None:
        super().__init__(f"qdrant-edge HNSW {codes}", "m=16 ef_construct=200")
        self.codes, self.payload = codes, payload or {}

    def config(self, dim: int, threads: int) -> Any:
        import qdrant_edge as qdrant

        coded = qdrant.ScalarQuantizationConfig(type=qdrant.ScalarType.Int8, always_ram=True)
        return qdrant.EdgeConfig(
            vectors=qdrant.EdgeVectorParams(size=dim, distance=qdrant.Distance.Dot),
            hnsw_config=qdrant.HnswIndexConfig(16, 200, 10_000, max_indexing_threads=threads),
            quantization_config=coded if self.codes == "int8" else None,
            optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=1),
            max_search_threads=threads,
        )

    def build(self, rows: np.ndarray, threads: int, folder: Path) -> None:
        import qdrant_edge as qdrant

        self.shard = qdrant.EdgeShard.create(str(folder), self.config(rows.shape[1], threads))
        for name in self.payload:
            field = qdrant.UpdateOperation.create_field_index(name, qdrant.PayloadSchemaType.Integer)
            self.shard.update(field)
        for low in range(0, len(rows), BATCH_POINTS):
            vectors = rows[low : low + BATCH_POINTS].tolist()
            carried = payloads(self.payload, low, low + len(vectors))
            points = [qdrant.Point(id=low + n, vector=vectors[n], payload=carried[n]) for n in range(len(vectors))]
            self.shard.update(qdrant.UpdateOperation.upsert_points(points))
        self.shard.flush()
        self.shard.optimize()

    def save(self, folder: Path) -> None:
        self.shard.close()

    def open(self, folder: Path, rows: np.ndarray) -> None:
        import qdrant_edge as qdrant

        self.shard = qdrant.EdgeShard.load(str(folder), self.config(rows.shape[1], 1))

    def request(self, query: np.ndarray, k: int, ef: int, below: tuple[str, int] | None = None) -> Any:
        """`below`: only points whose field has less; by ACORN where the engine finds that few enough match."""
        import qdrant_edge as qdrant

        chosen = None
        if below is not None:
            chosen = qdrant.Filter([qdrant.FieldCondition(below[0], range=qdrant.RangeFloat(lt=below[1]))])
        params = qdrant.SearchParams(hnsw_ef=ef or None, acorn=qdrant.AcornSearchParams(enable=below is not None))
        return qdrant.QueryRequest(limit=k, query=qdrant.Query.Nearest(query.tolist()), filter=chosen, params=params,
                                   with_payload=False, with_vector=False)  # fmt: skip

    def batch(self, queries: np.ndarray, k: int, ef: int) -> Any:
        import qdrant_edge as qdrant

        return self.shard.query_batch(qdrant.QueryBatchRequest([self.request(query, k, ef) for query in queries]))

    def single(self, query: np.ndarray, k: int, ef: int) -> Any:
        return self.shard.query(self.request(query, k, ef))

    def rows_of(self, answer: Any) -> np.ndarray:
        return stacked([[point.id for point in points] for points in answer])

    def row_of(self, answer: Any) -> np.ndarray:
        return np.array([point.id for point in answer], np.int64)

    def close(self) -> None:
        self.shard.close()


def graphs() -> Iterable[GraphLibrary]:
    return QdrantGraph("f32"), QdrantGraph("int8")
