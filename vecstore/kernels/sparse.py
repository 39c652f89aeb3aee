"""Searches over sparse rows: the part of the kernels protocol that reads `SparseRows`, and `PackedRows` as they stand.

A row answers a query if they share an index; others do not, whatever k is. Its distance is minus the score,

    score = sum over shared indices of weight * value,    or    weight * (value / (value + norm of the row))

where there is a `Saturation`. Products are summed in float32 by descending |weight|, then ascending index, whatever
form of the rows is read: every backend and instruction set, scans and inverted lists, give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecstore.packed_sparse import PackedRows, StoredRows
from vecstore.sparse import SparseRows

Bitmap: TypeAlias = NDArray[np.uint64]

WINDOW_ROWS = 65_536
DENSE_SHARE = 8
INVERTED_COUNTERS = ("postings_read", "rows_scored", "windows_skipped")


@dataclass(frozen=True, slots=True)
class Saturation:
    """A value v of row i counts as v / (v + (base + slope * lengths[i])), in float32: BM25, with k1 + 1 in the weights,
    base = k1 * (1 - b) and slope = k1 * b / mean length."""

    lengths: NDArray[np.float32]  # (n,)
    base: float
    slope: float

    def norms(self) -> NDArray[np.float32]:
        """(n,) what is added to values below the line."""
        return np.float32(self.base) + np.float32(self.slope) * self.lengths

    def take(self, rows: Any) -> Saturation:
        return Saturation(self.lengths[rows], self.base, self.slope)


@dataclass(frozen=True, slots=True)
class Window:
    """Postings of up to WINDOW_ROWS consecutive rows, a list for each term.

    Values are rounded up to bytes: value v of a list has the least code in 1..255 with |v| <= |step| * code. A term's
    negative values have a list of their own behind that of the others, with a negative step. A list of more than one
    row in DENSE_SHARE is no list of rows but a byte for every row, 0 where it lacks the term. For text, values are what
    term frequencies counted as when the window was made (see Saturation)."""

    first_row: int  # a multiple of 64
    n_rows: int
    terms: NDArray[np.uint32]  # (nlists,) ascending, a term at most twice
    starts: NDArray[np.uint32]  # (nlists + 1,) where lists begin in ids and codes; a dense list has no place there
    steps: NDArray[np.float32]  # (nlists,)
    ids: NDArray[np.uint16]  # row - first_row, ascending in a list
    codes: NDArray[np.uint8]  # beside ids
    dense_lists: NDArray[np.uint32]  # (ndense,) ascending
    dense: NDArray[np.uint8]  # (ndense, n_rows filled up to a multiple of 64)
    slope: float  # of the saturation that it was made with, 0 without

    @property
    def nbytes(self) -> int:
        arrays = (self.terms, self.starts, self.steps, self.ids, self.codes, self.dense_lists, self.dense)
        return sum(array.nbytes for array in arrays)


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """A window in the form that a backend searches; its arrays were checked once."""

    window: Window
    handle: Any  # the backend's own


class SparseKernels(Protocol):
    def sparse_scan(
        self,
        queries: SparseRows,  # float32 values
        rows: StoredRows,
        saturation: Saturation | None,
        allowed: Bitmap | None,
        out_rows: NDArray[np.int64],  # (nq, k)
        out_distances: NDArray[np.float32],  # (nq, k)
    ) -> None:
        """The k nearest allowed rows among those that share an index with the query, by reading all of them."""

    def sparse_rerank(
        self,
        queries: SparseRows,
        rows: StoredRows,
        saturation: Saturation | None,
        candidates: NDArray[np.int64],  # (nq, m), -1 for none
        out_distances: NDArray[np.float32],  # (nq, m), +inf where the candidate is -1 or shares no index
    ) -> None:
        """Distances of listed rows, in the candidates' order."""

    def sparse_document_frequency(
        self,
        terms: NDArray[np.uint32],  # (nterms,) strictly ascending
        rows: StoredRows,
        allowed: Bitmap | None,
        out: NDArray[np.int64],  # (nterms,)
    ) -> None:
        """How many allowed rows hold each term."""

    def unpack_places(
        self,
        rows: PackedRows,
        listed: NDArray[np.int64],  # (m,)
        offsets: NDArray[np.int64],  # (m + 1,) as `taken_of` gives them
        out: NDArray[np.uint32],  # (nnz of these,)
    ) -> None:
        """The places among `rows.terms` of the rows listed."""

    def build_window(self, first_row: int, rows: SparseRows, saturation: Saturation | None) -> Window:
        """Postings of all of `rows`, WINDOW_ROWS at most, of which the first is row `first_row` of its segment."""

    def open_window(self, window: Window) -> OpenWindow:
        """For this backend's searches; the arrays are kept, not copied. Raises ValueError where they do not fit."""

    def inverted_search(
        self,
        windows: Sequence[OpenWindow],  # one after another from row 0
        queries: SparseRows,
        rows: StoredRows,  # those of the windows, and rows behind them, which are read as they stand
        saturation: Saturation | None,
        allowed: Bitmap | None,
        out_rows: NDArray[np.int64],  # (nq, k)
        out_distances: NDArray[np.float32],  # (nq, k)
        out_counters: NDArray[np.int64],  # (nq, 3): INVERTED_COUNTERS
    ) -> None:
        """What `sparse_scan` finds. The windows may hold more rows than there are in `rows`."""

    def inverted_document_frequency(
        self,
        windows: Sequence[OpenWindow],
        terms: NDArray[np.uint32],
        rows: StoredRows,
        allowed: Bitmap | None,
        out: NDArray[np.int64],
    ) -> None:
        """What `sparse_document_frequency` counts."""
