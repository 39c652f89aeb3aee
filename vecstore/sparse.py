"""Sparse rows of any length: offsets that cut indices and values into rows. What sparse and text fields store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


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
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise IndexError(f"rows are cut in runs, not with step {step}")
        offsets = self.offsets[start : max(start, stop) + 1]
        low, high = int(offsets[0]), int(offsets[-1])
        return SparseRows(offsets - low, self.indices[low:high], self.values[low:high])

    def row(self, place: int) -> SparseRows:
        return self[place : place + 1]

    def take(self, rows: NDArray[np.int64]) -> SparseRows:
        """Copies of the rows listed."""
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return SparseRows(offsets, self.indices[places], self.values[places])

    def astype(self, values: np.dtype[np.generic] | type[np.generic]) -> SparseRows:
        if self.values.dtype == values:
            return self
        return SparseRows(self.offsets, self.indices, self.values.astype(values))

    @classmethod
    def concat(cls, parts: Sequence[SparseRows]) -> SparseRows:
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        indices = np.concatenate([part.indices for part in parts])
        return cls(offsets, indices, np.concatenate([part.values for part in parts]))


def sparse_rows(vectors: Sequence[SparseVector]) -> SparseRows:
    """Sparse vectors as rows; each has its indices and values at the same places, and numbers in any dtype."""
    if len(vectors) == 1:
        indices, values = np.asarray(vectors[0].indices, np.uint32), np.asarray(vectors[0].values, np.float32)
        return SparseRows(np.array([0, len(indices)]), indices, values)
    offsets = np.zeros(len(vectors) + 1, np.int64)
    np.cumsum([len(one.indices) for one in vectors], out=offsets[1:])
    indices = np.concatenate([np.empty(0, np.uint32), *(one.indices for one in vectors)], dtype=np.uint32)
    values = np.concatenate([np.empty(0, np.float32), *(one.values for one in vectors)], dtype=np.float32)
    return SparseRows(offsets, indices, values)
