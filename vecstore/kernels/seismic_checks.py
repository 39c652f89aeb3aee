"""Checks of searches through blocks of sparse rows for the backends written in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.checks import _check, _check_range
from vecstore.kernels.seismic import BLOCK, COUNTERS, GROUP, MASK_BYTES, PADDING, SeismicArrays, Visit
from vecstore.kernels.sparse_checks import _check_sparse, check_queries
from vecstore.packed_sparse import StoredRows
from vecstore.sparse import SparseRows


def check_seismic(a: SeismicArrays) -> None:
    _check("rows", a.rows, np.uint32, (None,))
    _check("terms", a.terms, np.uint32, (None,))
    _check("scales", a.scales, np.float32, a.terms.shape)
    _check("term_parts", a.term_parts, np.int64, (len(a.terms) + 1,))
    _check("term_records", a.term_records, np.int64, (len(a.terms) + 1,))
    _check("part_blocks", a.part_blocks, np.uint16 if a.part_blocks.dtype == np.uint16 else np.uint32, (None,))
    _check("part_codes", a.part_codes, np.uint8, a.part_blocks.shape)
    _check("part_records", a.part_records, np.uint16, a.part_blocks.shape)
    _check("record_bases", a.record_bases, np.int64, (-(-len(a.part_blocks) // GROUP),))
    _check("records", a.records, np.uint8, (None,))
    n, parts, nbytes = len(a.rows), len(a.part_blocks), len(a.records) - PADDING
    _require(bool((np.sort(a.rows) == np.arange(n)).all()), "places do not hold each row once")
    _require(nbytes >= 0, f"records must end with {PADDING} spare bytes")
    _require(bool((np.diff(a.terms.astype(np.int64)) > 0).all()), "terms do not ascend")
    _require(bool(((a.scales > 0) & (a.scales < 3.0e38)).all()), "a term has no scale")
    for name, ends, end in (("parts", a.term_parts, parts), ("records", a.term_records, nbytes)):
        inside = ends[0] == 0 and ends[-1] == end and (np.diff(ends) > 0).all()
        _require(bool(inside), f"terms do not cover the {name}")
    if not parts:
        return
    blocks = -(-n // BLOCK)
    term_of = np.repeat(np.arange(len(a.terms)), np.diff(a.term_parts))
    inner = np.diff(term_of) == 0
    _require(int(a.part_blocks.max()) < blocks, "a part is of a block past the last")
    _require(bool((np.diff(a.part_blocks.astype(np.int64))[inner] > 0).all()), "a term's blocks do not ascend")
    _require(int(a.part_codes.min()) > 0, "a part has no code")
    starts = a.starts(np.arange(parts))
    inside = (starts >= 0).all() and (starts <= nbytes - MASK_BYTES).all()
    _require(bool(inside), "a record is past the end")
    masks = read_masks(a.records, starts)
    _require(bool((masks != 0).all()), "a record is of no rows")
    ends = starts + MASK_BYTES + np.bitwise_count(masks)
    _require(starts[0] == 0 and ends[-1] == nbytes and bool((ends[:-1] == starts[1:]).all()), "records leave gaps")
    firsts = starts[a.term_parts[:-1]]
    _require(bool((firsts == a.term_records[:-1]).all()), "a term's first record is not its first part's")
    if n % BLOCK:
        last = masks[a.part_blocks == blocks - 1]
        _require(not (last >> np.uint64(n % BLOCK)).any(), "a record is of rows past the last")


def read_masks(records: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.uint64]:
    masks: NDArray[np.uint64] = records[starts[:, None] + np.arange(MASK_BYTES)].view("<u8")[:, 0]
    return masks


def check_seismic_search(
    n: int,
    rows: StoredRows,
    queries: SparseRows,
    visit: Visit,
    allowed: NDArray[Any] | None,
    out_rows: NDArray[Any],
    out_distances: NDArray[Any],
    out_counters: NDArray[Any],
) -> None:
    _check_sparse("row", rows)
    check_queries(queries)
    if len(rows) != n:
        raise ValueError("the index is over another number of rows")
    if allowed is not None:
        _check("allowed", allowed, np.uint64, ((n + 63) // 64,))
    _check("out_rows", out_rows, np.int64, (len(queries), None))
    _check("out_distances", out_distances, np.float32, out_rows.shape)
    _check("out_counters", out_counters, np.int64, (len(queries), len(COUNTERS)))
    if out_rows.shape[1] == 0:
        raise ValueError("out_rows must have columns")
    if not visit.block_factor > 0:
        raise ValueError("block_factor must be positive")
    if not 0 < visit.share <= 1:
        raise ValueError("share must be in (0, 1]")
    if visit.terms < 1:
        raise ValueError("terms must be positive")


def check_sketch_nearest(
    ids: NDArray[Any], weights: NDArray[Any], members: NDArray[Any], centroids: NDArray[Any], out: NDArray[Any]
) -> None:
    _check("ids", ids, np.uint32, (None, None))
    _check("weights", weights, np.float32, ids.shape)
    _check("members", members, np.int64, (None,))
    _check_range("members", members, 0, len(ids) - 1)
    _check("centroids", centroids, np.float32, (None, None))
    _check_range("ids", ids, 0, len(centroids) - 1)
    _check("out", out, np.int32, members.shape)
    if centroids.shape[1] == 0:
        raise ValueError("centroids must have columns")


def _require(fits: bool, problem: str) -> None:
    if not fits:
        raise ValueError(problem)
