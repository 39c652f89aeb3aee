"""What exact indexes have in common whose rows can be read as bytes first: see `engine.exact_cache`."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any, Protocol, Self

from vecstore.index.base import Index
from vecstore.kernels.base import Kernels


class Rounded(Protocol):
    """Rows as bytes: `RowBytes` and `TokenRowBytes`."""

    def __len__(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def whole(self) -> int: ...

    def first(self, n: int) -> Self: ...

    def then(self, more: Any) -> Self: ...


class ScannedIndex(Index):
    """Compares every allowed row. Holds references only: cheap enough to build for one query, and to copy."""

    _row_bytes: Any = None  # as `rounded` makes them

    @property
    @abstractmethod
    def rounded_bytes(self) -> int:
        """What bytes of all rows would take, about."""

    @abstractmethod
    def bytes_pay(self, k: int, n_allowed: int) -> bool:
        """Whether the k nearest of so many allowed rows are found sooner by bytes first."""

    @abstractmethod
    def rounded(self, kernels: Kernels, first: int) -> Rounded | None:
        """The rows from `first` on as bytes; None where these kernels read rows themselves."""

    def reading(self, row_bytes: Rounded) -> Self:
        """The same index, which reads these bytes of its first rows, of its own kind, before the rows."""
        index = copy.copy(self)
        index._row_bytes = row_bytes
        return index
