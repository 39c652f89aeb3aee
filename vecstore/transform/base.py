"""What every transform offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from vecstore.kernels.base import Float32Array


class Transform(ABC):
    """Stored vectors and queries may be mapped differently (centring moves only the stored ones under dot)."""

    name: ClassVar[str]
    dim_in: int
    dim_out: int

    @abstractmethod
    def apply(self, rows: Float32Array) -> Float32Array:
        """Stored vectors, float32 (n, dim_in), to float32 (n, dim_out). Never changes its argument."""

    def apply_queries(self, queries: Float32Array) -> tuple[Float32Array, Float32Array | None]:
        """Queries, float32 (nq, dim_in), to (nq, dim_out), and what to add to each query's inner products (nq,)."""
        return self.apply(queries), None

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """All state, as named arrays."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from `arrays()`. Raises Corruption when they do not fit together."""
