"""Shape, dtype and layout checks of late interaction, for the backends written in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.array_checks import check, check_shape
from vecstore.kernels.tokens import TokenCodes
from vecstore.tokens import TokenRows

_Any = NDArray[Any]


def check_maxsim_scan(
    queries: TokenRows, rows: TokenRows, allowed: _Any | None, out_rows: _Any, out_distances: _Any
) -> None:
    _check_queries(queries)
    check_rows(rows, queries.dim)
    check_offsets("rows", rows.offsets, len(rows.tokens))
    if allowed is not None:
        check("allowed", allowed, np.uint64, ((len(rows) + 63) // 64,))
    check("out_rows", out_rows, np.int64, (len(queries), None))
    check("out_distances", out_distances, np.float32, out_rows.shape)


def check_maxsim_rerank(queries: TokenRows, rows: TokenRows, candidates: _Any, out_distances: _Any) -> None:
    _check_queries(queries)
    check_rows(rows, queries.dim)
    check("candidates", candidates, np.int64, (len(queries), None))
    check("out_distances", out_distances, np.float32, candidates.shape)
    check_candidates(rows.offsets, len(rows.tokens), candidates)


def check_centroid_search(
    codes: TokenCodes, queries: TokenRows, allowed: _Any | None, out_rows: _Any, out_distances: _Any, out_counters: _Any
) -> None:
    if codes.centroids is None:
        raise ValueError("these tokens have no centroids")
    _check_coded_queries(queries, codes.dim)
    if allowed is not None:
        check("allowed", allowed, np.uint64, ((len(codes) + 63) // 64,))
    check("out_rows", out_rows, np.int64, (len(queries), None))
    check("out_distances", out_distances, np.float32, out_rows.shape)
    check("out_counters", out_counters, np.int64, (len(queries), 2))


def check_token_rerank(codes: TokenCodes, queries: TokenRows, candidates: _Any, out_distances: _Any) -> None:
    if codes.codes is None:
        raise ValueError("these tokens have no codes")
    _check_coded_queries(queries, codes.dim)
    check("candidates", candidates, np.int64, (len(queries), None))
    check("out_distances", out_distances, np.float32, candidates.shape)
    check_candidates(codes.offsets, int(codes.offsets[-1]), candidates)


def _check_coded_queries(queries: TokenRows, dim: int) -> None:
    _check_queries(queries)
    if queries.dim != dim:
        raise ValueError(f"shape of queries: they have {queries.dim} components, tokens {dim}")


def check_candidates(offsets: _Any, total: int, candidates: _Any) -> None:
    """Raises unless every candidate is -1 or a row whose tokens are there."""
    n = len(offsets) - 1
    wrong = (candidates < -1) | (candidates >= n)
    if wrong.any():
        raise ValueError(f"candidate row {candidates[wrong][0]} is not in -1..{n - 1}")
    used = candidates[candidates >= 0]
    begin, end = offsets[used], offsets[used + 1]
    wrong = (begin < 0) | (end < begin) | (end > total)
    if wrong.any():
        raise ValueError(f"offsets of row {used[wrong][0]} lie outside the tokens")


def _check_queries(queries: TokenRows) -> None:
    check("offsets", queries.offsets, np.int64, (None,))
    check("queries", queries.tokens, np.float32, (None, None))
    check_offsets("queries", queries.offsets, len(queries.tokens))


def check_rows(rows: TokenRows, dim: int) -> None:
    check("offsets", rows.offsets, np.int64, (None,))
    if rows.tokens.dtype not in (np.float32, np.float16):
        raise ValueError(f"tokens must have dtype float32 or float16, not {rows.tokens.dtype}")
    check_shape("tokens", rows.tokens, (None, dim))


def check_offsets(name: str, offsets: _Any, total: int) -> None:
    if not len(offsets):
        raise ValueError(f"{name} need at least one offset")
    if offsets[0] < 0 or offsets[-1] > total:
        raise ValueError(f"offsets of {name} lie outside the tokens")
    if (np.diff(offsets) < 0).any():
        raise ValueError(f"offsets of {name} must ascend")
