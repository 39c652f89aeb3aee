"""Checks of searches through blocks of sparse rows for the backends written in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.array_checks import check, check_range
from vecstore.kernels.seismic import BLOCK, COUNTERS, DENSE_SHARE, GROUP, ONE, PADDING, SeismicArrays, Visit
from vecstore.kernels.seismic_records import rows_of
from vecstore.kernels.sparse_checks import _check_sparse, check_queries
from vecstore.packed_sparse import StoredRows
from vecstore.sparse import SparseRows


def check_seismic(a: SeismicArrays) -> NDArray[Any]:
    """Raises ValueError unless they fit together; returns the block of each part."""
    check("rows", a.rows, np.uint32, (None,))
    check("terms", a.terms, np.uint32, (None,))
    check("scales", a.scales, np.float32, a.terms.shape)
    check("term_parts", a.term_parts, np.int64, (len(a.terms) + 1,))
    check("part_codes", a.part_codes, np.uint8, (None,))
    check("part_records", a.part_records, np.uint16, a.part_codes.shape)
    check("record_bases", a.record_bases, np.int64, (-(-len(a.part_codes) // GROUP),))
    check("records", a.records, np.uint8, (None,))
    parts, counts = len(a.part_codes), np.diff(a.term_parts)
    _require(bool((np.sort(a.rows) == np.arange(len(a.rows))).all()), "places do not hold each row once")
    _require(len(a.records) >= PADDING, f"records must end with {PADDING} spare bytes")
    _require(bool((np.diff(a.terms.astype(np.int64)) > 0).all()), "terms do not ascend")
    _require(bool(((a.scales > 0) & (a.scales < 3.0e38)).all()), "a term has no scale")
    inside = a.term_parts[0] == 0 and a.term_parts[-1] == parts and (counts > 0).all()
    _require(bool(inside), "terms do not cover the parts")
    dense = counts * DENSE_SHARE > a.blocks
    wide = np.uint16 if a.part_blocks.dtype == np.uint16 else np.uint32
    check("part_blocks", a.part_blocks, wide, (int(counts[~dense].sum()),))
    check("block_bits", a.block_bits, np.uint64, (int(dense.sum()), -(-a.blocks // 64)))
    spare = a.block_bits[:, -1:] >> np.uint64(a.blocks % 64) if a.blocks % 64 else a.block_bits[:, :0]
    _require(not spare.any(), "a part is of a block past the last")
    held = np.bitwise_count(a.block_bits).sum(axis=1, dtype=np.int64)
    _require(bool((held == counts[dense]).all()), "a term has not a part for each of its blocks")
    blocks = a.all_blocks()
    if not parts:
        return blocks
    inner = np.diff(np.repeat(np.arange(len(a.terms)), counts)) == 0
    _require(int(blocks.max()) < a.blocks, "a part is of a block past the last")
    _require(bool((np.diff(blocks.astype(np.int64))[inner] > 0).all()), "a term's blocks do not ascend")
    _require(int(a.part_codes.min()) > 0, "a part has no code")
    _check_records(a, blocks)
    return blocks


def _check_records(a: SeismicArrays, blocks: NDArray[Any]) -> None:
    """That records follow each other and have several rows each, none past the last."""
    words, nbytes = a.part_records, len(a.records) - PADDING
    single = words & ONE != 0
    room = np.minimum(BLOCK, len(a.rows) - BLOCK * blocks.astype(np.int64))
    _require(not (words[single] >> 14 & 1).any(), "a part of one row is of another form")
    _require(bool((words[single] >> 8 & 63 < room[single]).all()), "a record is of rows past the last")
    several = np.flatnonzero(~single)
    starts = a.starts(several)
    _require(bool((starts >= 0).all() and (starts < nbytes).all()), "a record is past the end")
    octets, codes = rows_of(a.records, starts)
    flags = np.unpackbits(a.records[starts][:, None], axis=1, bitorder="little")
    _require(bool(((octets != 0) == (flags == 1)).all()), "a record has an octet of no rows")
    held = np.bitwise_count(octets).sum(axis=1, dtype=np.int64)
    _require(bool((held > 1).all()), "a record is of fewer than two rows")
    sizes = np.zeros(len(words), np.int64)
    sizes[several] = codes + held - starts
    begins = np.cumsum(sizes) - sizes
    right = (starts == begins[several]).all() and (a.record_bases == begins[::GROUP]).all()
    _require(bool(right) and int(sizes.sum()) == nbytes, "records leave gaps")
    masks, short = octets.view("<u8")[:, 0], room[several] < BLOCK
    past = masks[short] >> room[several][short].astype(np.uint64)
    _require(not past.any(), "a record is of rows past the last")


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
        check("allowed", allowed, np.uint64, ((n + 63) // 64,))
    check("out_rows", out_rows, np.int64, (len(queries), None))
    check("out_distances", out_distances, np.float32, out_rows.shape)
    check("out_counters", out_counters, np.int64, (len(queries), len(COUNTERS)))
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
    check("ids", ids, np.uint32, (None, None))
    check("weights", weights, np.float32, ids.shape)
    check("members", members, np.int64, (None,))
    check_range("members", members, 0, len(ids) - 1)
    check("centroids", centroids, np.float32, (None, None))
    check_range("ids", ids, 0, len(centroids) - 1)
    check("out", out, np.int32, members.shape)
    if centroids.shape[1] == 0:
        raise ValueError("centroids must have columns")


def _require(fits: bool, problem: str) -> None:
    if not fits:
        raise ValueError(problem)
