"""Exact search of sparse rows and of text by reading every allowed row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption, InvalidArgument
from vecstore.index.base import DEFAULT_PARAMS, EXACT_SCAN, Candidates, Index, SearchParams, allowed_count
from vecstore.index.terms import TermQueries, row_lengths, saturation_of
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.sparse import Saturation
from vecstore.packed_sparse import PackedRows, StoredRows
from vecstore.schema import Analysis, VectorField, VectorKind
from vecstore.sparse import SparseRows

SparseQueries = SparseRows | TermQueries


def check_sparse_rows(field: VectorField, rows: StoredRows) -> None:
    """Raises Corruption when stored rows are not what a sparse or text field holds: dtypes, offsets that ascend from 0
    to the number of entries, as many values as indices."""
    if isinstance(rows, PackedRows):  # they were checked when they were made
        if rows.dtype != field.storage_dtype:
            raise Corruption(f"values of stored rows are {rows.dtype}, the field needs {field.storage_dtype}")
        return
    expected = {"offsets": np.dtype(np.int64), "indices": np.dtype(np.uint32), "values": field.storage_dtype}
    for name, array in rows.arrays().items():
        if array.ndim != 1 or array.dtype != expected[name]:
            got = f"{array.dtype} of {array.ndim} axes"
            raise Corruption(f"{name} of stored rows are {got}, the field needs {expected[name]} of 1 axis")
    if len(rows.values) != rows.nnz:
        raise Corruption(f"stored rows have {rows.nnz} indices and {len(rows.values)} values")
    offsets = rows.offsets
    if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != rows.nnz or (np.diff(offsets) < 0).any():
        raise Corruption(f"offsets of stored rows do not ascend from 0 to their {rows.nnz} entries")


def exact_parts(
    field: VectorField, queries: SparseQueries, lengths: Float32Array | None
) -> tuple[SparseRows, Saturation | None]:
    """What exact kernels take. `lengths` is (n,), for text only."""
    if isinstance(queries, SparseRows):
        return queries, None
    analysis = field.analysis or Analysis()
    assert lengths is not None
    return queries.weighted(analysis), saturation_of(analysis, lengths, queries.mean_length)


class SparseFlatIndex(Index):
    """Sparse rows by inner product, or a text's terms by BM25. Holds references: cheap enough to build for one query,
    given `lengths` for text.

    Queries are `SparseRows` of float32 for a field of kind SPARSE, `TermQueries` for TEXT."""

    name: ClassVar[str] = "flat_sparse"

    def __init__(self, field: VectorField, rows: StoredRows, lengths: Float32Array | None = None) -> None:
        """`lengths` is what `row_lengths(rows)` gives, computed here for text where it is not."""
        self.ntotal = len(rows)
        self._field = field
        self._rows = rows
        self.lengths = row_lengths(rows) if lengths is None and field.kind is VectorKind.TEXT else lengths

    def search(
        self,
        kernels: Kernels,
        queries: SparseQueries,
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        """Raises InvalidArgument for `truncate_dim`."""
        if params.truncate_dim:
            raise InvalidArgument(f"truncate_dim={params.truncate_dim} suits dense vectors, these are sparse")
        weighted, saturation = exact_parts(self._field, queries, self.lengths)
        nq = len(queries)
        places = np.empty((nq, k), np.int64), np.empty((nq, k), np.float32)
        found = Candidates(*places, recall=1.0, strategy=EXACT_SCAN)
        kernels.sparse_scan(weighted, self._rows, saturation, allowed, found.rows, found.distances)
        found.counters["rows_scanned"] = len(queries) * allowed_count(self.ntotal, allowed)
        return found

    def rerank(self, kernels: Kernels, queries: SparseQueries, candidates: Int64Array) -> Float32Array:
        """(nq, m) exact distances of listed rows, +inf for -1 and for a row that shares no index with its query."""
        weighted, saturation = exact_parts(self._field, queries, self.lengths)
        distances = np.empty(candidates.shape, np.float32)
        kernels.sparse_rerank(weighted, self._rows, saturation, candidates, distances)
        return distances

    def document_frequency(self, kernels: Kernels, terms: NDArray[np.uint32], alive: Bitmap | None) -> Int64Array:
        """(nterms,) how many rows, or rows alive, hold each of the terms, which must ascend strictly."""
        counts = np.empty(len(terms), np.int64)
        kernels.sparse_document_frequency(terms, self._rows, alive, counts)
        return counts

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    @classmethod
    def from_arrays(cls, field: VectorField, rows: Any, arrays: Mapping[str, np.ndarray]) -> Self:
        check_sparse_rows(field, rows)
        return cls(field, rows)
