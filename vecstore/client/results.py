"""What queries and uploads return."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecstore.types import Hit, QueryResult


class Hits(list[Hit]):
    """Hits, best first: a list of `Hit` (`.id`, `.score`, `.payload`, `.vectors`) with its columns as arrays."""

    def __init__(self, hits: Iterable[Hit] = (), *, seq: int = 0, explain: dict[str, Any] | None = None) -> None:
        super().__init__(hits)
        self.seq = seq
        self.explain = explain

    @classmethod
    def of(cls, result: QueryResult) -> Hits:
        return cls(result.hits, seq=result.seq, explain=result.explain)

    @property
    def ids(self) -> np.ndarray:
        """Ids in order: uint64 when all are numbers, else an object array."""
        if all(isinstance(hit.id, int) for hit in self):
            return np.array([hit.id for hit in self], dtype=np.uint64)
        ids = np.empty(len(self), dtype=object)
        ids[:] = [hit.id for hit in self]
        return ids

    @property
    def scores(self) -> np.ndarray:
        """Scores in order, float32."""
        return np.array([hit.score for hit in self], dtype=np.float32)


@dataclass(slots=True)
class UploadResult:
    """`points` were read and sent (after those skipped), of which `changed` were written; all durable at `seq`."""

    points: int = 0
    changed: int = 0
    skipped: int = 0
    requests: int = 0
    seq: int = 0
