"""Exact search of a growing segment's sparse rows or texts: inverted lists over all but the last few rows.

Windows of postings have 256, 1,024, 4,096 or 16,384 rows, the larger first, never four of a size below the largest: as
rows come, four windows become one over all their rows, so that a row is put into lists at most four times. The last
rows, fewer than 256, are read as they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vecstore.index.base import DEFAULT_PARAMS, Candidates, Index, SearchParams
from vecstore.index.sparse_flat import SparseQueries
from vecstore.index.terms import row_lengths, saturation_of
from vecstore.index.windows import document_frequency, search_windows
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.sparse import OpenWindow
from vecstore.schema import Analysis, VectorField, VectorKind
from vecstore.sparse import SparseRows

SIZES = (16_384, 4_096, 1_024, 256)  # making the largest holds the writer up for some 30 ms


class GrowingInverted:
    """One thread extends; what `at` gives may be searched by any number of threads, and does not change."""

    def __init__(self, field: VectorField, kernels: Kernels) -> None:
        self._field, self._kernels = field, kernels
        self._windows: tuple[OpenWindow, ...] = ()  # replaced as a whole: readers keep what they took
        self._lengths = np.empty(0, np.float32)  # of texts, with room for more behind them
        self._n_rows = 0
        self._n_terms = 0.0  # of all texts together

    @property
    def nbytes(self) -> int:
        """What it takes besides the rows."""
        return self._lengths.nbytes + sum(one.window.nbytes for one in self._windows)

    def extend(self, rows: SparseRows) -> None:
        """Take in what was added since the last call. `rows` are all rows of the segment."""
        if self._field.kind is VectorKind.TEXT:
            self._extend_lengths(rows)
        self._n_rows = len(rows)
        has = {(one.window.first_row, one.window.n_rows): one for one in self._windows}
        wanted = list(_cuts(len(rows)))
        if wanted != list(has):
            self._windows = tuple(has.get(cut) or self._made(rows, *cut) for cut in wanted)

    def at(self, rows: SparseRows) -> GrowingView:
        """The index of the segment's first rows: those that a reader sees, perhaps fewer than were taken in."""
        lengths = self._lengths[: len(rows)] if self._field.kind is VectorKind.TEXT else None
        return GrowingView(self._field, rows, self._windows, lengths)

    def _extend_lengths(self, rows: SparseRows) -> None:
        fresh = row_lengths(rows[self._n_rows :])
        if len(rows) > len(self._lengths):
            larger = np.zeros(max(2 * len(self._lengths), len(rows), SIZES[-1]), np.float32)
            larger[: self._n_rows] = self._lengths[: self._n_rows]
            self._lengths = larger
        self._lengths[self._n_rows : len(rows)] = fresh
        self._n_terms += float(fresh.sum(dtype=np.float64))

    def _made(self, rows: SparseRows, first: int, count: int) -> OpenWindow:
        part, saturation = slice(first, first + count), None
        if self._field.kind is VectorKind.TEXT:
            mean = self._n_terms / self._n_rows
            saturation = saturation_of(self._field.analysis or Analysis(), self._lengths[part], mean)
        return self._kernels.open_window(self._kernels.build_window(first, rows[part], saturation))


def _cuts(n: int) -> Iterator[tuple[int, int]]:
    """First row and size of each window over n rows."""
    first = 0
    for size in SIZES:
        for _ in range((n - first) // size):
            yield first, size
            first += size


class GrowingView(Index):
    """The first rows of a growing segment. Finds what a scan finds, bit for bit, by the kernels it was made with."""

    name: ClassVar[str] = "inverted_growing"
    complete: ClassVar[bool] = True

    def __init__(
        self, field: VectorField, rows: SparseRows, windows: tuple[OpenWindow, ...], lengths: Float32Array | None
    ) -> None:
        self.ntotal = len(rows)
        self._field, self._rows, self._windows, self._lengths = field, rows, windows, lengths

    @property
    def lengths(self) -> Float32Array:
        """(n,) terms of each text, repeats counted."""
        assert self._lengths is not None
        return self._lengths

    def search(
        self,
        kernels: Kernels,
        queries: SparseQueries,
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        """Raises InvalidArgument for `truncate_dim`."""
        rows, lengths = self._rows, self._lengths
        return search_windows(kernels, self._windows, self._field, rows, lengths, queries, k, allowed, params)

    def document_frequency(self, kernels: Kernels, terms: NDArray[np.uint32], alive: Bitmap | None) -> Int64Array:
        """(nterms,) how many rows, or rows alive, hold each of the terms, which must ascend strictly."""
        return document_frequency(kernels, self._windows, self._rows, terms, alive)

    def arrays(self) -> dict[str, np.ndarray]:
        """Nothing: a sealed segment's index is built anew."""
        return {}

    @classmethod
    def from_arrays(cls, field: VectorField, rows: SparseRows, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rows without windows, which are read as they stand."""
        return cls(field, rows, (), row_lengths(rows) if field.kind is VectorKind.TEXT else None)
