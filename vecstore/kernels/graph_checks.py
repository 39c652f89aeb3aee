"""Checks of the graph operations for the backends written in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.array_checks import check, check_metric, check_range, check_rows, check_shape
from vecstore.kernels.graph import COUNTERS, HEADER, LINE, BuildParams, ByteRows, GraphArrays, Walk
from vecstore.schema import Metric

_ROWS_MAX = (1 << 31) - 1
_DIM_MAX = 1 << 16
_DEGREE_MAX = 1024
_RESERVOIR_MAX = 1024
_LEAF_MIN = 16


def check_graph(metric: Metric, rows: NDArray[Any], inverse_norms: NDArray[Any] | None, arrays: GraphArrays) -> None:
    check_rows(rows, None)
    check_shape("rows", rows, (None, None))
    n, dim = rows.shape
    if not 1 <= n <= _ROWS_MAX:
        raise ValueError("a graph has 1 to 2^31 - 1 rows")
    if not 1 <= dim <= _DIM_MAX:
        raise ValueError(f"rows must have 1 to {_DIM_MAX} components")
    check_metric(metric, inverse_norms, n)
    check("neighbours", arrays.neighbours, np.uint32, (n, None))
    check_range("neighbours", arrays.neighbours, 0, n - 1)
    check("codes", arrays.codes, np.uint8, (n, None))
    if arrays.codes.shape[1] == 0 or arrays.codes.shape[1] % LINE != 0:
        raise ValueError("codes must come in lines of 64 bytes")
    check("entries", arrays.entries, np.uint32, (None,))
    if len(arrays.entries) == 0:
        raise ValueError("a graph needs an entry")
    check_range("entries", arrays.entries, 0, n - 1)
    check("mean", arrays.mean, np.float32, (dim,))
    check("directions", arrays.directions, np.int8, (None, dim))
    check("direction_scales", arrays.direction_scales, np.float32, (len(arrays.directions),))
    check("fields", arrays.fields, np.int32, (None, 4))
    check("field_weights", arrays.field_weights, np.float32, (len(arrays.fields),))
    _check_fields(arrays)


def _check_fields(arrays: GraphArrays) -> None:
    byte, shift, width, direction = arrays.fields.T.astype(np.int64)
    inside = (byte >= HEADER) & (byte < arrays.codes.shape[1]) & (direction >= 0)
    inside &= direction < len(arrays.directions)
    shaped = np.isin(width, (1, 2, 4)) & (shift >= 0) & (shift <= 7)
    if not (inside & shaped).all() or (shift % width != 0).any():
        raise ValueError("a field of the codes is out of range")
    held = np.unique(np.stack((byte, width), axis=1), axis=0)
    if len(np.unique(held[:, 0])) != len(held):
        raise ValueError("a byte of the codes mixes widths")


def check_graph_answers(
    shape: tuple[int, int],
    rescored: int,
    queries: NDArray[Any],
    allowed: NDArray[Any] | None,
    out_rows: NDArray[Any],
    out_distances: NDArray[Any],
    out_counters: NDArray[Any],
) -> None:
    """What a search and a scan share; `shape` is that of the stored rows."""
    n, dim = shape
    check("queries", queries, np.float32, (None, dim))
    nq = len(queries)
    check("out_rows", out_rows, np.int64, (nq, None))
    k = out_rows.shape[1]
    check("out_distances", out_distances, np.float32, (nq, k))
    check("out_counters", out_counters, np.int64, (nq, len(COUNTERS)))
    if allowed is not None:
        check("allowed", allowed, np.uint64, ((n + 63) // 64,))
    if k == 0:
        raise ValueError("out_rows must have columns")
    if rescored != 0 and rescored < k:
        raise ValueError("rescored must be 0 or at least k")


def check_walk(walk: Walk, n: int, out_rows: NDArray[Any]) -> None:
    nq, k = out_rows.shape
    if walk.ef < k:
        raise ValueError("ef must be at least k")
    narrow = walk.narrow
    if not (narrow.reach >= 0 and narrow.least >= 0 and 1 <= narrow.near <= narrow.kept):
        raise ValueError("a narrow walk needs reach and least of at least 0 and 1 <= near <= kept")
    if walk.skipped is not None:
        check("skipped", walk.skipped, np.int64, (nq,))
        if walk.skipped.max(initial=-1) >= n:
            raise ValueError("skipped is past the rows")


def check_graph_builder(rows: ByteRows, params: BuildParams, neighbours: NDArray[Any]) -> None:
    check("bytes", rows.bytes, np.int8, (None, None))
    n, width = rows.bytes.shape
    if not 1 <= n <= _ROWS_MAX:
        raise ValueError("a graph has 1 to 2^31 - 1 rows")
    if width == 0 or width % 8 != 0:
        raise ValueError("bytes must have a multiple of 8 columns")
    check("scales", rows.scales, np.float32, (n,))
    check("squares", rows.squares, np.float32, (n,))
    check("sums", rows.sums, np.int32, (n,))
    check("neighbours", neighbours, np.uint32, (n, None))
    if not 1 <= neighbours.shape[1] <= _DEGREE_MAX:
        raise ValueError(f"degree must be in 1..{_DEGREE_MAX}")
    sizes = params.leaf_rows >= _LEAF_MIN and params.leaf_nearest >= 1 and 1 <= params.reservoir <= _RESERVOIR_MAX
    if not sizes or not params.fanout:
        raise ValueError("the builder's parameters are out of range")
    if min(params.fanout) < 1:
        raise ValueError("a fanout must be at least 1")


def check_seed(n: int, rows: NDArray[Any], neighbours: NDArray[Any]) -> None:
    check("rows", rows, np.uint32, (None,))
    check("neighbours", neighbours, np.uint32, (len(rows), None))
    check_range("rows", rows, 0, n - 1)
    check_range("neighbours", neighbours, 0, n - 1)


def check_held(out: NDArray[Any], count: int, reservoir: int) -> None:
    check("out", out, np.uint32, (count, reservoir))


def check_part(begin: int, end: int, most: int) -> None:
    if not 0 <= begin <= end <= most:
        raise ValueError(f"a range ends past {most}")
