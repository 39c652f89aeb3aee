"""Rows of tokens once more, as bytes: what `Kernels.maxsim_scan` then reads of most of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vecstore.tokens import TokenRows


@dataclass(frozen=True, slots=True)
class TokenRowBytes:
    """Of the first n rows of what is scanned. A token is about its scale times its bytes, which are stored with 128
    added."""

    offsets: NDArray[np.int64]  # (n + 1,)
    tokens: NDArray[np.uint8]  # (offsets[n], width); width is dim, filled up to a multiple of 4
    scales: NDArray[np.float32]  # (offsets[n],)
    errors: NDArray[np.float32]  # (n,), of a row's tokens the largest |token - what its bytes stand for|; may be inf
    lengths: NDArray[np.float32]  # (n,), of a row's tokens the largest length of what bytes stand for

    @classmethod
    def empty(cls, rows: TokenRows) -> Self:
        """Room to round rows in."""
        n, total = len(rows), int(rows.offsets[-1])
        tokens = np.empty((total, -(-rows.dim // 4) * 4), np.uint8)
        return cls(rows.offsets, tokens, *(np.empty(length, np.float32) for length in (total, n, n)))

    def __len__(self) -> int:
        return len(self.errors)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What kernels take."""
        return self.tokens, self.scales, self.errors, self.lengths

    @property
    def nbytes(self) -> int:
        return int(self.offsets.nbytes + sum(array.nbytes for array in self.arrays))

    @property
    def whole(self) -> int:
        """Rows that stay as they are when more follow."""
        return len(self)

    def first(self, n: int) -> Self:
        """Of the first n rows, where there are more."""
        if n >= len(self):
            return self
        total = int(self.offsets[n])
        ends = (total, total, n, n)
        return type(self)(self.offsets[: n + 1], *(array[:end] for array, end in zip(self.arrays, ends, strict=True)))

    def then(self, more: Self) -> Self:
        """And those of `more` after them."""
        offsets = np.concatenate((self.offsets, more.offsets[1:] + self.offsets[-1]))
        pairs = zip(self.arrays, more.arrays, strict=True)
        return type(self)(offsets, *(np.concatenate(pair) for pair in pairs))
