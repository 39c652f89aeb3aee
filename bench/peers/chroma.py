"""Chroma in process: its HNSW graph over a sweep of ef."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.systems.base import Peer, folder_bytes

SPACES = {"cosine": "cosine", "l2": "l2", "dot": "ip"}
BATCH_POINTS = 5_000


class Chroma(Peer):
    name = "chromadb"
    needs = "chromadb"
    metrics = frozenset(SPACES)

    def fit(self, train: np.ndarray) -> None:
        import chromadb

        settings = chromadb.Settings(anonymized_telemetry=False)
        self.client = chromadb.PersistentClient(path=str(self.setup.folder / "chroma"), settings=settings)
        graph = {"space": SPACES[self.setup.metric], "ef_construction": 200, "max_neighbors": 16}
        if self.setup.threads:
            graph["num_threads"] = self.setup.threads
        self.collection: Any = self.client.create_collection("bench", configuration={"hnsw": graph})
        for low in range(0, len(train), BATCH_POINTS):
            rows = train[low : low + BATCH_POINTS]
            self.collection.add(ids=[str(row) for row in range(low, low + len(rows))], embeddings=rows)

    def variants(self) -> list[dict[str, Any]]:
        return [{"ef": ef} for ef in (32, 100, 256)]

    def configure(self, **variant: Any) -> None:
        self.collection.modify(configuration={"hnsw": {"ef_search": variant["ef"]}})

    def query(self, vector: np.ndarray, k: int) -> list[int]:
        answer = self.collection.query(query_embeddings=[vector], n_results=k, include=[])
        return [int(row) for row in answer["ids"][0]]

    def facts(self) -> dict[str, Any]:
        return {"disk_bytes": folder_bytes(self.setup.folder)}
