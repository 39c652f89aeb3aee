"""Searches over sparse rows in plain numpy: the law that other backends are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.sparse import Saturation
from vecstore.kernels.stop import check_stop
from vecstore.sparse import SparseRows

_BLOCK_ROWS = 1 << 14

Float32Array = NDArray[np.float32]


def by_weight(query: SparseRows) -> tuple[NDArray[np.uint32], Float32Array]:
    """Indices and weights of one query in the order that products are summed."""
    order = np.argsort(-np.abs(query.values), kind="stable")
    return query.indices[order], query.values[order].astype(np.float32, copy=False)


def row_distances(
    query: SparseRows, rows: SparseRows, saturation: Saturation | None
) -> tuple[Float32Array, NDArray[np.bool_]]:
    """(n,) distances of all rows to one query, and which of them share an index with it."""
    indices, weights = by_weight(query)
    sums, matched = np.zeros(len(rows), np.float32), np.zeros(len(rows), bool)
    if len(indices):
        ascending = np.argsort(indices)
        at = np.searchsorted(indices, rows.indices, sorter=ascending).clip(max=len(indices) - 1)
        ranks = ascending[at]
        entries = np.flatnonzero(indices[ranks] == rows.indices)
        row_of = np.searchsorted(rows.offsets, entries, side="right") - 1
        order = np.lexsort((ranks[entries], row_of))
        entries, row_of = entries[order], row_of[order]
        with np.errstate(over="ignore", invalid="ignore"):
            products = weights[ranks[entries]] * saturated(rows.values[entries], saturation, row_of)
            np.add.at(sums, row_of, products)
        matched[row_of] = True
    return to_distances(sums), matched


def blocks_of(n: int) -> Iterator[slice]:
    """0..n-1 in parts, with a look at whether to stop before each."""
    for first in range(0, n, _BLOCK_ROWS):
        check_stop()
        yield slice(first, min(n, first + _BLOCK_ROWS))


def document_frequency(terms: NDArray[np.uint32], rows: SparseRows) -> NDArray[np.int64]:
    """(nterms,) how many rows hold each of the terms, which ascend."""
    if not len(terms):
        return np.zeros(0, np.int64)
    at = np.searchsorted(terms, rows.indices).clip(max=len(terms) - 1)
    return np.bincount(at[terms[at] == rows.indices], minlength=len(terms)).astype(np.int64)


def saturated(values: NDArray[Any], saturation: Saturation | None, row_of: NDArray[np.int64]) -> Float32Array:
    """What values of rows count as."""
    wide: Float32Array = values.astype(np.float32, copy=False)
    return wide if saturation is None else wide / (wide + saturation.norms()[row_of])


def to_distances(sums: Float32Array) -> Float32Array:
    distances = np.float32(0) - sums
    return np.where(np.isnan(distances), np.float32(np.inf), distances)


def write_nearest(
    rows: NDArray[np.int64],
    distances: Float32Array,
    out_rows: NDArray[np.int64],
    out_distances: Float32Array,
) -> None:
    """The nearest of rows that ascend, filled up with -1 and +inf."""
    best = np.argsort(distances, kind="stable")[: len(out_rows)]
    out_rows[: len(best)], out_distances[: len(best)] = rows[best], distances[best]
    out_rows[len(best) :], out_distances[len(best) :] = -1, np.inf
