"""Principal directions: the linear map to fewer dimensions that keeps the most.

Which PCA suits which metric (specs, dimension-reduction section 1.1):
    cosine  uncentred: the best rank-k approximation of the inner products. The last component stands for what is
            dropped: its length times a weight (below)
    dot     uncentred; centred moves only the stored vectors, <q, x> ~ <W'q, W'(x - m)> + <q, m>
    l2      centred: distances do not see the mean, and mapped distances never exceed the true ones

Unit vectors q and x with dropped parts q' and x' have <q, x> = <W'q, W'x> + r |q'| |x'|. Taking r = 0 ranks rows by how
much of them was kept; giving both sides unit length again instead multiplies with the common mean of the vectors what
was dropped, and loses 10 to 15 points of recall where that mean is long. Neighbours share some of what is dropped, so
the weight r is the one of a few that keeps most neighbours of the sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vecstore import index_spec
from vecstore.errors import Corruption
from vecstore.index_spec import Transform as TransformSpec
from vecstore.kernels.base import Float32Array
from vecstore.kernels.encode import project, row_dots
from vecstore.kernels.places import like
from vecstore.schema import Metric
from vecstore.transform.arrays import number, stored_number, take
from vecstore.transform.base import Transform
from vecstore.transform.judge import Judge, judges
from vecstore.transform.linear import check_dim, check_orthonormal, check_sample
from vecstore.transform.moments import Moments
from vecstore.transform.range_finder import leading_directions

EIGH_DIM_MAX = 4096  # above, the moments take too much memory and their eigenvectors too long
REFIT_LOSS = 0.02  # a basis is worn out when it captures this much less of the energy than it did at first


WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.45)
WEIGHT_UNJUDGED = 0.2


class PCA(Transform):
    """`basis` is (dim_in, directions), orthonormal columns by falling variance; `mean` is None when uncentred; `both`
    centres queries too (l2); `weight` above zero adds the component for what is dropped; `energy` is the captured
    share of the sample's energy."""

    name: ClassVar[str] = "pca"

    def __init__(
        self, basis: Float32Array, mean: Float32Array | None, both: bool, weight: float, energy: float
    ) -> None:
        self.dim_in = len(basis)
        self.dim_out = basis.shape[1] + (weight > 0)
        self.basis = basis
        self.mean = mean
        self.both = both
        self.weight = weight
        self.linear = weight == 0
        self.energy = energy

    @classmethod
    def fit(cls, spec: TransformSpec, sample: Float32Array, metric: Metric, unit: bool) -> Self:
        assert isinstance(spec, index_spec.PCA)
        dim_in = sample.shape[1]
        check_dim("pca", spec.dim, dim_in)
        check_sample("pca", sample, 2)
        centered = metric is Metric.L2 if spec.centered is None else spec.centered
        whole = cls._from_sample(sample, spec.dim, centered, metric)
        if not unit or centered or not 1 < spec.dim < dim_in:
            return whole
        rows = judges(sample)
        if rows is None:
            return whole._weighted(WEIGHT_UNJUDGED)
        judge = Judge(rows)
        return max((whole._weighted(weight) for weight in WEIGHTS), key=lambda pca: judge.kept(pca.apply(rows)))

    @classmethod
    def _from_sample(cls, sample: Float32Array, dim: int, centered: bool, metric: Metric) -> Self:
        if sample.shape[1] <= EIGH_DIM_MAX:
            moments = Moments(sample.shape[1])
            moments.add(sample)
            return cls.from_moments(moments, dim, centered, metric)
        mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32) if centered else None
        basis, energy = leading_directions(sample if mean is None else sample - mean, dim)
        return cls._made(basis, mean, metric, energy)

    @classmethod
    def from_moments(cls, moments: Moments, dim: int, centered: bool, metric: Metric) -> Self:
        """Fit to sums that were collected elsewhere, for instance merged over segments; without a weight."""
        mean = moments.mean.astype(np.float32) if centered else None
        matrix = moments.about(_center(mean, len(moments.sum)))
        values, vectors = np.linalg.eigh(matrix)
        leading = slice(None, -dim - 1, -1)
        total = float(np.trace(matrix))
        energy = float(values[leading].sum()) / total if total > 0 else 1.0
        return cls._made(vectors[:, leading], mean, metric, energy)

    @classmethod
    def _made(cls, basis: NDArray[np.float64], mean: Float32Array | None, metric: Metric, energy: float) -> Self:
        columns = fix_signs(basis).astype(np.float32)
        return cls(columns, mean, metric is Metric.L2, 0.0, min(max(energy, 0.0), 1.0))

    def _weighted(self, weight: float) -> Self:
        """The same with the last direction given up for the component of what is dropped, unless the weight is 0."""
        if weight == 0:
            return self
        return type(self)(np.ascontiguousarray(self.basis[:, :-1]), self.mean, self.both, weight, self.energy)

    def captured(self, moments: Moments) -> float:
        """The share of these vectors' energy (about the mean at fit time) that the basis keeps."""
        matrix = moments.about(_center(self.mean, self.dim_in))
        basis = self.basis.astype(np.float64)
        total = float(np.trace(matrix))
        return float(np.einsum("dk,dk->", matrix @ basis, basis)) / total if total > 0 else 1.0

    def needs_refit(self, moments: Moments) -> bool:
        return self.captured(moments) < self.energy - REFIT_LOSS

    def unit_after(self, unit: bool) -> bool:
        return False

    def apply(self, rows: Float32Array) -> Float32Array:
        return self._mapped(rows if self.mean is None else rows - like(rows, self.mean))

    def apply_queries(self, queries: Float32Array) -> tuple[Float32Array, Float32Array | None]:
        add: Float32Array | None = queries @ self.mean if self.mean is not None and not self.both else None
        return self._mapped(queries - self.mean if self.mean is not None and self.both else queries), add

    def _mapped(self, rows: Float32Array) -> Float32Array:
        mapped = project(rows, self.basis)
        if self.weight == 0:
            return mapped
        dropped = np.sqrt(self.weight * np.maximum(row_dots(rows, rows) - row_dots(mapped, mapped), 0.0))
        return np.concatenate((mapped, dropped.astype(np.float32)[:, None]), axis=1)

    def arrays(self) -> dict[str, np.ndarray]:
        centered = {} if self.mean is None else {"mean": self.mean}
        return centered | {
            "basis": self.basis,
            "both": stored_number(self.both),
            "weight": np.array([self.weight]),
            "energy": np.array([self.energy]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        basis = take(arrays, "basis", np.float32, (None, None))
        if basis.shape[1] > basis.shape[0]:
            raise Corruption(f"array basis of pca has more columns than rows: {basis.shape}")
        check_orthonormal("basis", basis)
        mean = take(arrays, "mean", np.float32, (len(basis),)) if "mean" in arrays else None
        both, weight = bool(number(arrays, "both", 0, 1)), _share(arrays, "weight")
        return cls(basis, mean, both, weight, _share(arrays, "energy"))


def _share(arrays: Mapping[str, np.ndarray], name: str) -> float:
    value = float(take(arrays, name, np.float64, (1,))[0])
    if not 0 <= value <= 1:
        raise Corruption(f"array {name} of pca holds {value}, which is not in 0..1")
    return value


def fix_signs(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column's largest component made positive, so that refits can be compared."""
    largest = basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])]
    return basis * np.where(largest < 0, -1.0, 1.0)


def _center(mean: Float32Array | None, dim: int) -> NDArray[np.float64]:
    return np.zeros(dim) if mean is None else mean.astype(np.float64)
