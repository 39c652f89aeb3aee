"""Searching through windows of postings, for sealed and growing segments alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import InvalidArgument
from vecstore.index.base import Candidates, SearchParams
from vecstore.index.sparse_flat import SparseQueries, exact_parts
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.sparse import INVERTED_COUNTERS, OpenWindow
from vecstore.packed_sparse import StoredRows
from vecstore.schema import VectorField


def search_windows(
    kernels: Kernels,
    windows: Sequence[OpenWindow],
    field: VectorField,
    rows: StoredRows,
    lengths: Float32Array | None,
    queries: SparseQueries,
    k: int,
    allowed: Bitmap | None,
    params: SearchParams,
) -> Candidates:
    """The k nearest allowed of all `rows`, exactly. Raises InvalidArgument for `truncate_dim`."""
    if params.truncate_dim:
        raise InvalidArgument(f"truncate_dim={params.truncate_dim} suits dense vectors, these are sparse")
    weighted, saturation = exact_parts(field, queries, lengths)
    nq = len(queries)
    found = Candidates(np.empty((nq, k), np.int64), np.empty((nq, k), np.float32), recall=1.0)
    counted = np.empty((nq, len(INVERTED_COUNTERS)), np.int64)
    kernels.inverted_search(windows, weighted, rows, saturation, allowed, found.rows, found.distances, counted)
    found.counters.update(zip(INVERTED_COUNTERS, counted.sum(axis=0).tolist(), strict=True))
    return found


def document_frequency(
    kernels: Kernels,
    windows: Sequence[OpenWindow],
    rows: StoredRows,
    terms: NDArray[np.uint32],
    alive: Bitmap | None,
) -> Int64Array:
    """(nterms,) how many rows, or rows alive, hold each of the terms, which must ascend strictly."""
    counts = np.empty(len(terms), np.int64)
    kernels.inverted_document_frequency(windows, terms, rows, alive, counts)
    return counts
