"""Random orthogonal maps: they spread a vector's energy evenly over its coordinates, so that one grid suits all.

Rounds of (permute, flip signs, Walsh-Hadamard within blocks) as in TurboQuant's deterministic rotation; permuting first
makes the map insensitive to components ordered by energy (PCA, Matryoshka). A block is the largest power of two that
divides the padded dimension. Only additions in a fixed order: the same bytes for any batch on any machine. Few
dimensions mix too little in blocks of 64; they get a dense random orthogonal matrix.
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
from vecstore.kernels.hadamard import hadamard_rounds
from vecstore.schema import Metric
from vecstore.transform.arrays import DIM_MAX, number, stored_number, take
from vecstore.transform.base import Transform
from vecstore.transform.linear import check_orthonormal

ROUNDS = 3  # two leave 64 * odd dimensions uneven for one-hot input
DENSE_BELOW = 256
_MULTIPLE = 64


def padded(dim: int) -> int:
    return -(-dim // _MULTIPLE) * _MULTIPLE


class Rotation(Transform):
    """Pads with zeros to a multiple of 64, then rotates."""

    name: ClassVar[str] = "rotate"

    @classmethod
    def fit(cls, spec: TransformSpec, sample: Float32Array, metric: Metric, unit: bool) -> Self:
        assert isinstance(spec, index_spec.Rotate)
        return cls.random(sample.shape[1], spec.seed)

    @classmethod
    def random(cls, dim: int, seed: int) -> Self:
        """A map from numpy's PCG64 stream. What was drawn is stored: a stream may change, stored vectors do not."""
        rng = np.random.Generator(np.random.PCG64(seed))
        width = padded(dim)
        if width < DENSE_BELOW:
            matrix, triangle = np.linalg.qr(rng.standard_normal((width, width)))
            matrix *= np.where(triangle.diagonal() < 0, -1.0, 1.0)  # without this, QR's choice of signs is not uniform
            return cls(dim, _Dense(matrix[:, :dim].T.astype(np.float32, order="C")))
        permutations = np.stack([rng.permutation(width) for _ in range(ROUNDS)]).astype(np.int32)
        signs = (2 * rng.integers(0, 2, (ROUNDS, width)) - 1).astype(np.int8)
        return cls(dim, _Hadamard(permutations, signs))

    def __init__(self, dim: int, map_: _Dense | _Hadamard) -> None:
        self.dim_in = dim
        self.dim_out = padded(dim)
        self._map = map_

    def apply(self, rows: Float32Array) -> Float32Array:
        return self._map.apply(rows)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"dim": stored_number(self.dim_in)} | self._map.arrays()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        dim = number(arrays, "dim", 1, DIM_MAX)
        return cls(dim, (_Dense if padded(dim) < DENSE_BELOW else _Hadamard).from_arrays(dim, arrays))


class _Dense:
    def __init__(self, matrix: Float32Array) -> None:
        self._matrix = matrix  # (dim, padded), orthonormal rows

    def apply(self, rows: Float32Array) -> Float32Array:
        return project(rows, self._matrix)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"matrix": self._matrix}

    @classmethod
    def from_arrays(cls, dim: int, arrays: Mapping[str, np.ndarray]) -> Self:
        matrix = take(arrays, "matrix", np.float32, (dim, padded(dim)))
        check_orthonormal("matrix", matrix.T)
        return cls(matrix)


class _Hadamard:
    def __init__(self, permutations: NDArray[np.int32], signs: NDArray[np.int8]) -> None:
        # (rounds, padded): coordinate i of a round comes from permutations[r, i]
        self._permutations = np.ascontiguousarray(permutations)
        self._signs = signs  # (rounds, padded), +1 or -1
        self._block = self._signs.shape[1] & -self._signs.shape[1]
        # Every Hadamard doubles energy by its length; all rounds' scale goes into the first, one rounding.
        self._factors = signs.astype(np.float32)
        self._factors[0] *= np.float32(float(self._block) ** (-0.5 * len(signs)))

    def apply(self, rows: Float32Array) -> Float32Array:
        return hadamard_rounds(rows, self._permutations, self._factors, self._block)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"permutations": self._permutations, "signs": self._signs}

    @classmethod
    def from_arrays(cls, dim: int, arrays: Mapping[str, np.ndarray]) -> Self:
        width = padded(dim)
        permutations = take(arrays, "permutations", np.int32, (None, width))
        signs = take(arrays, "signs", np.int8, (len(permutations), width))
        if (np.sort(permutations, axis=1) != np.arange(width)).any():
            raise Corruption("array permutations of a rotation does not permute its coordinates")
        if (np.abs(signs.astype(np.int16)) != 1).any():
            raise Corruption("array signs of a rotation holds something other than 1 and -1")
        return cls(permutations, signs)
