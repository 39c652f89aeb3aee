"""Multi-vector rows: offsets that cut token vectors into rows. What multi-vector fields store, and their queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vecstore.offsets import joined, offsets_of, run_of, taken_of


@dataclass(frozen=True, slots=True)
class TokenRows:
    """n rows of any number of token vectors: row i is `tokens[offsets[i]:offsets[i + 1]]`."""

    PARTS: ClassVar[tuple[str, ...]] = ("tokens",)

    offsets: NDArray[np.int64]  # (n + 1,), the first is 0
    tokens: NDArray[np.float32] | NDArray[np.float16]  # (T, dim)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def dim(self) -> int:
        return int(self.tokens.shape[1])

    @property
    def nbytes(self) -> int:
        return self.offsets.nbytes + self.tokens.nbytes

    def arrays(self) -> dict[str, np.ndarray]:
        return {"offsets": self.offsets, "tokens": self.tokens}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(arrays["offsets"], arrays["tokens"])

    @classmethod
    def empty(cls, n: int, dim: int, dtype: np.dtype[np.generic] | type[np.generic]) -> Self:
        """`n` rows without a token."""
        return cls(np.zeros(n + 1, np.int64), np.empty((0, dim), dtype))

    @classmethod
    def of(cls, rows: Sequence[np.ndarray], dim: int, dtype: np.dtype[np.generic] | type[np.generic]) -> Self:
        """From one (m, dim) array for each row."""
        offsets = offsets_of([len(row) for row in rows])
        return cls(offsets, np.concatenate([np.empty((0, dim), dtype), *rows], dtype=dtype))

    def row(self, place: int) -> Self:
        return self[place : place + 1]

    def __iter__(self) -> Iterator[Self]:
        return (self.row(place) for place in range(len(self)))

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Self:
        """A run of rows, whose tokens are views; or the rows listed, copied."""
        if not isinstance(rows, slice):
            return self.take(rows)
        offsets, entries = run_of(self.offsets, rows)
        return type(self)(offsets, self.tokens[entries])

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Copies of the rows listed."""
        offsets, places = taken_of(self.offsets, rows)
        return type(self)(offsets, self.tokens[places])

    def astype(self, dtype: np.dtype[np.generic] | type[np.generic]) -> TokenRows:
        if self.tokens.dtype == dtype:
            return self
        return TokenRows(self.offsets, self.tokens.astype(dtype))

    @classmethod
    def concat(cls, parts: Sequence[TokenRows]) -> Self:
        offsets = joined(part.offsets for part in parts)
        return cls(offsets, np.concatenate([part.tokens for part in parts]))
