"""Clients of other databases, as far as docs/COMING-FROM.md asks them: the shapes of what they answer."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

ROWS = np.random.default_rng(5).normal(size=(2_500, 384)).astype(np.float32)


class Qdrant:
    def scroll(self, name: str, limit: int, offset: int | None, with_vectors: bool) -> tuple[list[Any], int | None]:
        assert with_vectors
        low = offset or 0
        end = min(low + limit, len(ROWS))
        found = [SimpleNamespace(id=i, vector=ROWS[i].tolist(), payload={"n": i}) for i in range(low, end)]
        return found, end if end < len(ROWS) else None


class Milvus:
    def query_iterator(self, name: str, batch_size: int, output_fields: list[str]) -> Milvus:
        assert output_fields == ["*"]
        self._left = [{"id": i, "vector": row.tolist(), "n": i} for i, row in enumerate(ROWS)]
        self._step = batch_size
        return self

    def next(self) -> list[dict[str, Any]]:
        page, self._left = self._left[: self._step], self._left[self._step :]
        return page


class Chroma:
    def count(self) -> int:
        return len(ROWS)

    def get(self, include: list[str], limit: int, offset: int) -> dict[str, Any]:
        assert include == ["embeddings", "metadatas", "documents"]
        rows = range(offset, min(offset + limit, len(ROWS)))
        return {
            "ids": [f"id{i}" for i in rows],
            "embeddings": ROWS[rows.start : rows.stop],
            "metadatas": [{"n": i} if i else None for i in rows],
            "documents": ["a text"] * len(rows),
        }


class Cursor:
    def execute(self, statement: str) -> None:
        assert statement.startswith("SELECT id, embedding")

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter((i, row, "en", 2026) for i, row in enumerate(ROWS))


class Faiss:
    ntotal = len(ROWS)

    def reconstruct_n(self, first: int, count: int) -> Any:
        return ROWS[first : first + count]


NAMES = {"qdrant": Qdrant(), "milvus": Milvus(), "chroma": Chroma(), "cursor": Cursor(), "index": Faiss()}
