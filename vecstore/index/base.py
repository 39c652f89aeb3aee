"""What every index offers. An index knows rows 0..n-1 of one vector field of one segment; it never sees ids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.schema import VectorField


@dataclass(frozen=True, slots=True)
class SearchParams:
    """How hard to look. 0 or None is the index's own choice."""

    nprobe: int = 0  # lists to visit at most
    oversampling: float = 0.0  # candidates for the rerank, as a multiple of k; at least 1
    rescore: bool = True  # False: answer with estimated distances
    exact: bool = False  # scan the stored vectors
    truncate_dim: int = 0  # compare this prefix of the vectors only
    recall_target: float = 0.0  # 0 < r <= 1: choose the rest by it


DEFAULT_PARAMS = SearchParams()


@dataclass(slots=True)
class Candidates:
    """`rows` and `distances` are (nq, k), ascending by (distance, row); unused places hold -1 and +inf.
    `counters` go into explain (rows scanned, blocks skipped, ...)."""

    rows: Int64Array
    distances: Float32Array
    counters: dict[str, int] = field(default_factory=dict)


class Index(ABC):
    name: ClassVar[str]
    ntotal: int

    @abstractmethod
    def search(self, kernels: Kernels, queries: np.ndarray, k: int, allowed: Bitmap | None) -> Candidates:
        """The k nearest allowed rows for each query: float32 (nq, dim), or packed uint8 (nq, dim / 8) for binary."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that must survive a restart, besides the stored vectors."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, field: VectorField, rows: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from the stored vectors and `arrays()`. Raises Corruption when they do not fit together."""
