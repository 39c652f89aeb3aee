"""What a text field's indexes are asked: weighted terms, and how long the texts of the collection are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.sparse import Saturation
from vecstore.packed_sparse import PackedRows, StoredRows
from vecstore.schema import Analysis
from vecstore.sparse import SparseRows


@dataclass(frozen=True, slots=True)
class TermQueries:
    """A batch of BM25 queries, the `queries` of `Index.search` for a field of kind TEXT.

    `terms` holds term ids and, as float32 values, idf(term) * times asked; `mean_length` is the mean number of terms of
    all live rows of the collection. k1 and b are the field's own (`field.analysis`)."""

    terms: SparseRows
    mean_length: float

    def __len__(self) -> int:
        return len(self.terms)

    def __getitem__(self, queries: slice) -> Self:
        return type(self)(self.terms[queries], self.mean_length)

    def weighted(self, analysis: Analysis) -> SparseRows:
        """What kernels take: (k1 + 1) in the weights."""
        values = self.terms.values.astype(np.float32) * np.float32(analysis.k1 + 1)
        return SparseRows(self.terms.offsets, self.terms.indices, values)


def row_lengths(rows: StoredRows) -> NDArray[np.float32]:
    """(n,) sums of each row's values: the terms of a text, repeats counted. Exact up to 2^24."""
    lengths = np.zeros(len(rows), np.float32)
    filled = np.flatnonzero(np.diff(rows.offsets))
    step = rows.step if isinstance(rows, PackedRows) and rows.values.dtype == np.uint8 else 1.0
    if len(filled):
        lengths[filled] = np.add.reduceat(rows.values, rows.offsets[filled], dtype=np.float64) * step
    return lengths


def saturation_of(analysis: Analysis, lengths: NDArray[np.float32], mean_length: float) -> Saturation:
    """Frequencies are weighed against k1 * (1 - b + b * length / mean_length)."""
    k1, b = analysis.k1, analysis.b
    slope = k1 * b / mean_length if mean_length > 0 else 0.0
    return Saturation(lengths, float(np.float32(k1 * (1 - b))), float(np.float32(slope)))
