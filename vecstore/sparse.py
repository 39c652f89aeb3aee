"""Sparse rows of any length: offsets that cut indices and values into rows. What sparse and text fields store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecstore.offsets import joined, offsets_of, run_of, taken_of


class SparseVector(NamedTuple):
    """One sparse vector: `indices` uint32 (nnz,), strictly ascending where it comes from a database, and `values`
    float32 (nnz,)."""

    indices: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, slots=True)
class SparseRows:
    """n sparse vectors in compressed rows (CSR): row i is `indices[offsets[i]:offsets[i + 1]]`, strictly ascending, and
    the values beside them."""

    offsets: NDArray[np.int64]  # (n + 1,), the first is 0
    indices: NDArray[np.uint32]  # (nnz,)
    values: NDArray[np.float32] | NDArray[np.float16]  # (nnz,)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def nnz(self) -> int:
        """Entries of all rows."""
        return len(self.indices)

    @property
    def nbytes(self) -> int:
        return self.offsets.nbytes + self.indices.nbytes + self.values.nbytes

    def arrays(self) -> dict[str, np.ndarray]:
        return {"offsets": self.offsets, "indices": self.indices, "values": self.values}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> SparseRows:
        return cls(arrays["offsets"], arrays["indices"], arrays["values"])

    @classmethod
    def empty(cls, n: int, values: np.dtype[Any]) -> SparseRows:
        """`n` rows without an entry."""
        return cls(np.zeros(n + 1, np.int64), np.empty(0, np.uint32), np.empty(0, values))

    def __iter__(self) -> Iterator[SparseRows]:
        return map(self.row, range(len(self)))

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> SparseRows:
        """A run of rows, whose parts are views, or copies of the rows listed."""
        if not isinstance(rows, slice):
            return self.take(np.asarray(rows, dtype=np.int64))
        offsets, entries = run_of(self.offsets, rows)
        return SparseRows(offsets, self.indices[entries], self.values[entries])

    def row(self, place: int) -> SparseRows:
        return self[place : place + 1]

    def take(self, rows: NDArray[np.int64]) -> SparseRows:
        """Copies of the rows listed."""
        offsets, places = taken_of(self.offsets, rows)
        return SparseRows(offsets, self.indices[places], self.values[places])

    def astype(self, values: np.dtype[np.generic] | type[np.generic]) -> SparseRows:
        if self.values.dtype == values:
            return self
        return SparseRows(self.offsets, self.indices, self.values.astype(values))

    @classmethod
    def concat(cls, parts: Sequence[SparseRows]) -> SparseRows:
        offsets = joined(part.offsets for part in parts)
        indices = np.concatenate([part.indices for part in parts])
        return cls(offsets, indices, np.concatenate([part.values for part in parts]))


def sparse_rows(vectors: Sequence[SparseVector]) -> SparseRows:
    """Sparse vectors as rows; each has its indices and values at the same places, and numbers in any dtype."""
    if len(vectors) == 1:
        indices, values = np.asarray(vectors[0].indices, np.uint32), np.asarray(vectors[0].values, np.float32)
        return SparseRows(np.array([0, len(indices)]), indices, values)
    offsets = offsets_of([len(one.indices) for one in vectors])
    indices = np.concatenate([np.empty(0, np.uint32), *(one.indices for one in vectors)], dtype=np.uint32)
    values = np.concatenate([np.empty(0, np.float32), *(one.values for one in vectors)], dtype=np.float32)
    return SparseRows(offsets, indices, values)
