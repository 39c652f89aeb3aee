"""Principal directions: the linear map to fewer dimensions that keeps the most.

Which PCA suits which metric (specs, dimension-reduction section 1.1):
    cosine  uncentred: the best rank-k approximation of the inner products. Both sides at unit length again where
            that keeps more neighbours of the sample: usually so, but where all vectors share a long mean, the lengths
            of what is left differ by less than the vectors do, and dividing by them is noise
    dot     uncentred; centred moves only the stored vectors, <q, x> ~ <W'q, W'(x - m)> + <q, m>
    l2      centred: distances do not see the mean, and mapped distances never exceed the true ones
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
from vecstore.kernels.encode import project
from vecstore.schema import Metric
from vecstore.transform.arrays import number, stored_number, take
from vecstore.transform.base import Transform
from vecstore.transform.judge import judges, neighbours_kept
from vecstore.transform.linear import check_dim, check_orthonormal, check_sample, unit_length
from vecstore.transform.moments import Moments
from vecstore.transform.range_finder import leading_directions

EIGH_DIM_MAX = 4096  # above, the moments take too much memory and their eigenvectors too long
REFIT_LOSS = 0.02  # a basis is worn out when it captures this much less of the energy than it did at first


class PCA(Transform):
    """`basis` is (dim_in, dim_out), orthonormal columns by falling variance; `mean` is None when uncentred; `both`
    centres queries too (l2); `energy` is the captured share of the sample's energy."""

    name: ClassVar[str] = "pca"

    def __init__(self, basis: Float32Array, mean: Float32Array | None, both: bool, unit: bool, energy: float) -> None:
        self.dim_in, self.dim_out = basis.shape
        self.basis = basis
        self.mean = mean
        self.both = both
        self.unit = unit
        self.linear = not unit
        self.energy = energy

    @classmethod
    def fit(cls, spec: TransformSpec, sample: Float32Array, metric: Metric, unit: bool) -> Self:
        assert isinstance(spec, index_spec.PCA)
        check_dim("pca", spec.dim, sample.shape[1])
        check_sample("pca", sample, 2)
        centered = metric is Metric.L2 if spec.centered is None else spec.centered
        pca = cls._from_sample(sample, spec.dim, centered, metric, unit)
        rows = judges(sample) if pca.unit else None
        if rows is not None:
            mapped = project(np.ascontiguousarray(rows), pca.basis)
            if neighbours_kept(rows, mapped) > neighbours_kept(rows, unit_length(mapped)):
                pca.unit, pca.linear = False, True
        return pca

    @classmethod
    def _from_sample(cls, sample: Float32Array, dim: int, centered: bool, metric: Metric, unit: bool) -> Self:
        if sample.shape[1] <= EIGH_DIM_MAX:
            moments = Moments(sample.shape[1])
            moments.add(sample)
            return cls.from_moments(moments, dim, centered, metric, unit)
        mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32) if centered else None
        basis, energy = leading_directions(sample if mean is None else sample - mean, dim)
        return cls._made(basis, mean, metric, unit, energy)

    @classmethod
    def from_moments(cls, moments: Moments, dim: int, centered: bool, metric: Metric, unit: bool) -> Self:
        """Fit to sums that were collected elsewhere, for instance merged over segments."""
        mean = moments.mean.astype(np.float32) if centered else None
        matrix = moments.about(_center(mean, len(moments.sum)))
        values, vectors = np.linalg.eigh(matrix)
        leading = slice(None, -dim - 1, -1)
        total = float(np.trace(matrix))
        energy = float(values[leading].sum()) / total if total > 0 else 1.0
        return cls._made(vectors[:, leading], mean, metric, unit, energy)

    @classmethod
    def _made(
        cls, basis: NDArray[np.float64], mean: Float32Array | None, metric: Metric, unit: bool, energy: float
    ) -> Self:
        """Unit length only without a mean: centred vectors at unit length would be another similarity."""
        columns = fix_signs(basis).astype(np.float32)
        return cls(columns, mean, metric is Metric.L2, unit and mean is None, min(max(energy, 0.0), 1.0))

    def captured(self, moments: Moments) -> float:
        """The share of these vectors' energy (about the mean at fit time) that the basis keeps."""
        matrix = moments.about(_center(self.mean, self.dim_in))
        basis = self.basis.astype(np.float64)
        total = float(np.trace(matrix))
        return float(np.einsum("dk,dk->", matrix @ basis, basis)) / total if total > 0 else 1.0

    def needs_refit(self, moments: Moments) -> bool:
        return self.captured(moments) < self.energy - REFIT_LOSS

    def unit_after(self, unit: bool) -> bool:
        return self.unit

    def apply(self, rows: Float32Array) -> Float32Array:
        mapped = project(rows if self.mean is None else rows - self.mean, self.basis)
        return unit_length(mapped) if self.unit else mapped

    def apply_queries(self, queries: Float32Array) -> tuple[Float32Array, Float32Array | None]:
        moved = queries - self.mean if self.mean is not None and self.both else queries
        mapped = project(moved, self.basis)
        add: Float32Array | None = queries @ self.mean if self.mean is not None and not self.both else None
        return unit_length(mapped) if self.unit else mapped, add

    def arrays(self) -> dict[str, np.ndarray]:
        centered = {} if self.mean is None else {"mean": self.mean}
        return centered | {
            "basis": self.basis,
            "both": stored_number(self.both),
            "unit": stored_number(self.unit),
            "energy": np.array([self.energy]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        basis = take(arrays, "basis", np.float32, (None, None))
        if basis.shape[1] > basis.shape[0]:
            raise Corruption(f"array basis of pca has more columns than rows: {basis.shape}")
        check_orthonormal("basis", basis)
        mean = take(arrays, "mean", np.float32, (len(basis),)) if "mean" in arrays else None
        both, unit = bool(number(arrays, "both", 0, 1)), bool(number(arrays, "unit", 0, 1))
        energy = float(take(arrays, "energy", np.float64, (1,))[0])
        if not 0 <= energy <= 1:
            raise Corruption(f"array energy of pca holds {energy}, which is not in 0..1")
        return cls(basis, mean, both, unit, energy)


def fix_signs(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column's largest component made positive, so that refits can be compared."""
    largest = basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])]
    return basis * np.where(largest < 0, -1.0, 1.0)


def _center(mean: Float32Array | None, dim: int) -> NDArray[np.float64]:
    return np.zeros(dim) if mean is None else mean.astype(np.float64)
