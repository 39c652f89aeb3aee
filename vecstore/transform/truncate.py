"""Matryoshka prefixes (Kusupati et al., 2022): the first components of such a model's vectors are a vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from vecstore import index_spec
from vecstore.index_spec import Transform as TransformSpec
from vecstore.kernels.base import Float32Array
from vecstore.kernels.places import contiguous
from vecstore.schema import Metric
from vecstore.transform.arrays import DIM_MAX, number, stored_number
from vecstore.transform.base import Transform
from vecstore.transform.linear import check_dim, unit_length


class Truncate(Transform):
    """The first `dim_out` components, at unit length again where `unit`. First cut, then scale: the other order keeps
    the lengths of prefixes in the scores."""

    name: ClassVar[str] = "truncate"

    def __init__(self, dim_in: int, dim_out: int, unit: bool) -> None:
        self.dim_in = dim_in
        self.dim_out = dim_out
        self.unit = unit
        self.linear = not unit

    @classmethod
    def fit(cls, spec: TransformSpec, sample: Float32Array, metric: Metric, unit: bool) -> Self:
        assert isinstance(spec, index_spec.Truncate)
        check_dim("truncate", spec.dim, sample.shape[1])
        return cls(sample.shape[1], spec.dim, unit)

    def unit_after(self, unit: bool) -> bool:
        return self.unit

    def apply(self, rows: Float32Array) -> Float32Array:
        prefix = contiguous(rows[:, : self.dim_out])
        return unit_length(prefix) if self.unit else prefix

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            "dim_in": stored_number(self.dim_in),
            "dim_out": stored_number(self.dim_out),
            "unit": stored_number(self.unit),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        dim_in = number(arrays, "dim_in", 1, DIM_MAX)
        return cls(dim_in, number(arrays, "dim_out", 1, dim_in), bool(number(arrays, "unit", 0, 1)))
