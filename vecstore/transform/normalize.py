"""Unit length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from vecstore.index_spec import Transform as TransformSpec
from vecstore.kernels.base import Float32Array
from vecstore.schema import Metric
from vecstore.transform.arrays import DIM_MAX, number, stored_number
from vecstore.transform.base import Transform
from vecstore.transform.linear import unit_length


class Normalize(Transform):
    """Stored vectors and queries at unit length; a zero vector stays zero."""

    name: ClassVar[str] = "normalize"
    linear = False

    def __init__(self, dim: int) -> None:
        self.dim_in = self.dim_out = dim

    @classmethod
    def fit(cls, spec: TransformSpec, sample: Float32Array, metric: Metric, unit: bool) -> Self:
        return cls(sample.shape[1])

    def unit_after(self, unit: bool) -> bool:
        return True

    def apply(self, rows: Float32Array) -> Float32Array:
        return unit_length(rows)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"dim": stored_number(self.dim_in)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(number(arrays, "dim", 1, DIM_MAX))
