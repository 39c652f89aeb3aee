"""Subtract the mean: free under l2; under dot only from stored vectors, since <q, x> = <q, x - m> + <q, m>."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from vecstore.index_spec import Transform as TransformSpec
from vecstore.kernels.base import Float32Array
from vecstore.kernels.places import like
from vecstore.schema import Metric
from vecstore.transform.arrays import number, stored_number, take
from vecstore.transform.base import Transform
from vecstore.transform.linear import check_sample


class Center(Transform):
    """`both` (l2) also moves queries. Under dot each query's inner products get <q, m> back."""

    name: ClassVar[str] = "center"

    def __init__(self, mean: Float32Array, both: bool) -> None:
        self.dim_in = self.dim_out = len(mean)
        self.mean = mean
        self.both = both

    @classmethod
    def fit(cls, spec: TransformSpec, sample: Float32Array, metric: Metric, unit: bool) -> Self:
        check_sample("center", sample, 1)
        return cls(sample.mean(axis=0, dtype=np.float64).astype(np.float32), metric is Metric.L2)

    def unit_after(self, unit: bool) -> bool:
        return False

    def apply(self, rows: Float32Array) -> Float32Array:
        return rows - like(rows, self.mean)

    def apply_queries(self, queries: Float32Array) -> tuple[Float32Array, Float32Array | None]:
        if self.both:
            return queries - self.mean, None
        return queries, queries @ self.mean

    def arrays(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "both": stored_number(self.both)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(take(arrays, "mean", np.float32, (None,)), bool(number(arrays, "both", 0, 1)))
