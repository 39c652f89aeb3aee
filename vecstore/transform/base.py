"""What every transform offers: fit to a sample, map stored vectors and queries, survive a restart.

Metrics are L2 and DOT only. Cosine comes as DOT with `unit` true: vectors have unit length, and a transform that
shortens them must not rank by how much it leaves (specs, dimension-reduction section 9): truncate and opq give them
unit length again, stored vectors and queries alike; pca keeps a component for what it drops. `unit_after` tells.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from vecstore.index_spec import Transform as TransformSpec
from vecstore.kernels.base import Float32Array
from vecstore.schema import Metric


class Transform(ABC):
    """Stored vectors and queries may be mapped differently (centring moves only the stored ones under dot)."""

    name: ClassVar[str]
    linear: bool = True  # stored vectors are mapped linearly: what earlier steps add to inner products still holds
    dim_in: int
    dim_out: int

    @classmethod
    @abstractmethod
    def fit(cls, spec: TransformSpec, sample: Float32Array, metric: Metric, unit: bool) -> Self:
        """Fit to a sample of the stored vectors, float32 (n, dim), as the steps before this one leave them. Two calls
        with the same arguments agree. Raises InvalidArgument (BAD_INDEX_SPEC) when the parameters do not suit the
        dimension, or when the sample is too small."""

    def unit_after(self, unit: bool) -> bool:
        """Whether results have unit length, given whether arguments have."""
        return unit

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
