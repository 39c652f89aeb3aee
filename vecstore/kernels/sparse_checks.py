"""Checks of searches over sparse rows for the backends written in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.array_checks import check, check_range, check_shape, check_top_k
from vecstore.kernels.sparse import Saturation
from vecstore.packed_sparse import PackedRows, StoredRows
from vecstore.sparse import SparseRows


def check_sparse_scan(
    queries: SparseRows,
    rows: StoredRows,
    saturation: Saturation | None,
    allowed: NDArray[Any] | None,
    out_rows: NDArray[Any],
    out_distances: NDArray[Any],
) -> None:
    _check_both(queries, rows, saturation)
    check_top_k(len(queries), len(rows), allowed, out_rows, out_distances)


def check_sparse_rerank(
    queries: SparseRows,
    rows: StoredRows,
    saturation: Saturation | None,
    candidates: NDArray[Any],
    out_distances: NDArray[Any],
) -> None:
    _check_both(queries, rows, saturation)
    check("candidates", candidates, np.int64, (len(queries), None))
    check_range("candidates", candidates, -1, len(rows) - 1)
    check("out_distances", out_distances, np.float32, candidates.shape)


def check_document_frequency(
    terms: NDArray[Any], rows: StoredRows, allowed: NDArray[Any] | None, out: NDArray[Any]
) -> None:
    check("terms", terms, np.uint32, (None,))
    if (np.diff(terms.astype(np.int64)) <= 0).any():
        raise ValueError("terms must ascend")
    _check_sparse("row", rows)
    if allowed is not None:
        check("allowed", allowed, np.uint64, ((len(rows) + 63) // 64,))
    check("out", out, np.int64, terms.shape)


def check_queries(queries: SparseRows) -> None:
    _check_sparse("query", queries)
    if queries.values.dtype != np.float32:
        raise ValueError("query values must have dtype float32")
    if not np.isfinite(queries.values).all():
        raise ValueError("a query's weights must be finite")
    ascends = np.diff(queries.indices.astype(np.int64)) > 0
    starts = queries.offsets[1:-1]
    ascends[starts[(starts > 0) & (starts < queries.nnz)] - 1] = True
    if not ascends.all():
        raise ValueError("a query's indices must ascend")


def _check_both(queries: SparseRows, rows: StoredRows, saturation: Saturation | None) -> None:
    _check_sparse("row", rows)
    check_queries(queries)
    if saturation is None:
        return
    check("lengths", saturation.lengths, np.float32, (len(rows),))
    if not (0 <= saturation.base < np.inf and 0 <= saturation.slope < np.inf):
        raise ValueError("base and slope must be finite and not negative")


def check_unpack(rows: PackedRows, listed: NDArray[Any], offsets: NDArray[Any], out: NDArray[Any]) -> None:
    check("listed", listed, np.int64, (None,))
    check_range("listed", listed, 0, len(rows) - 1)
    check("offsets", offsets, np.int64, (len(listed) + 1,))
    lengths = rows.offsets[listed + 1] - rows.offsets[listed]
    check("out", out, np.uint32, (int(lengths.sum()),))
    if offsets[0] != 0 or (np.diff(offsets) != lengths).any():
        raise ValueError("offsets are not those of the rows listed")


def _check_sparse(name: str, rows: StoredRows) -> None:
    if isinstance(rows, PackedRows):
        return  # they were checked when they were made
    check(f"{name} offsets", rows.offsets, np.int64, (None,))
    if len(rows.offsets) == 0:
        raise ValueError(f"{name} offsets must have an entry for the end of the last row")
    check(f"{name} indices", rows.indices, np.uint32, (None,))
    if rows.values.dtype not in (np.float32, np.float16):
        raise ValueError(f"{name} values must have dtype float32 or float16")
    check_shape(f"{name} values", rows.values, (rows.nnz,))
    if rows.offsets[0] < 0 or rows.offsets[-1] > rows.nnz or (np.diff(rows.offsets) < 0).any():
        raise ValueError(f"{name} offsets must ascend within 0 and the {rows.nnz} entries")
