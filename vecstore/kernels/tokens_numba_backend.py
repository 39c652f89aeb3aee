"""The part of the Numba backend that compares rows of tokens."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecstore.kernels import (
    maxsim_numba,
    tokens_numba,
    tokens_numpy,
)
from vecstore.kernels.allowed import allowed_mask
from vecstore.kernels.base import (
    Bitmap,
    Float32Array,
    Int64Array,
)
from vecstore.kernels.maxsim_checks import (
    check_centroid_search,
    check_maxsim_rerank,
    check_maxsim_scan,
    check_token_rerank,
)
from vecstore.kernels.numba_rows import as_typed
from vecstore.kernels.numba_threads import LAST_ROW, NumbaThreads, slices
from vecstore.kernels.stop import check_stop
from vecstore.kernels.stop_alarm import watched
from vecstore.kernels.token_row_bytes import TokenRowBytes
from vecstore.kernels.tokens import OpenTokens, TokenCodes
from vecstore.kernels.tokens_numpy import PythonTokens
from vecstore.tokens import TokenRows


class NumbaTokens(NumbaThreads):
    def round_tokens(self, rows: TokenRows) -> TokenRowBytes | None:
        return None

    def maxsim_scan(
        self,
        queries: TokenRows,
        rows: TokenRows,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        row_bytes: TokenRowBytes | None = None,
    ) -> None:
        check_maxsim_scan(queries, rows, allowed, out_rows, out_distances)
        lanes = [np.ascontiguousarray(query.tokens.T) for query in queries]
        tokens = as_typed(rows.tokens)

        def part(listed: Int64Array, begin: int, end: int, heap_rows: Int64Array, heap: Float32Array) -> None:
            asked = (listed, allowed is None, begin, end)
            with watched() as flag:
                for q, query in enumerate(lanes):
                    maxsim_numba.scan(query, tokens, rows.offsets, *asked, heap_rows[q], heap[q], flag)
            check_stop()

        work = len(queries.tokens) * rows.nbytes // max(1, len(rows))
        self._top_k(part, len(rows), work, allowed, out_rows, out_distances)
        out_rows[out_rows == LAST_ROW] = -1

    def maxsim_rerank(
        self, queries: TokenRows, rows: TokenRows, candidates: Int64Array, out_distances: Float32Array
    ) -> None:
        check_maxsim_rerank(queries, rows, candidates, out_distances)
        tokens = as_typed(rows.tokens)

        def run(q: int) -> None:
            lanes = np.ascontiguousarray(queries.row(q).tokens.T)
            with watched() as flag:
                maxsim_numba.rerank(lanes, tokens, rows.offsets, candidates[q], out_distances[q], flag)
            check_stop()

        self._each(run, len(queries))

    def open_tokens(self, codes: TokenCodes) -> OpenTokens:
        return OpenTokens(codes, PythonTokens(codes))

    def centroid_search(
        self,
        tokens: OpenTokens,
        queries: TokenRows,
        lists: int,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        outputs = (out_rows, out_distances, out_counters)
        check_centroid_search(tokens.codes, queries, allowed, *outputs)
        mask = allowed_mask(allowed, len(tokens.codes))

        def run(q: int) -> None:
            own: tuple[Any, ...] = (*(out[q] for out in outputs), tokens_numba.interact)
            tokens_numpy.search(tokens.handle, queries.row(q).tokens, lists, mask, *own)

        self._each(run, len(queries))

    def token_rerank(
        self, tokens: OpenTokens, queries: TokenRows, candidates: Int64Array, out_distances: Float32Array
    ) -> None:
        check_token_rerank(tokens.codes, queries, candidates, out_distances)
        opened: PythonTokens = tokens.handle

        def run(q: int) -> None:
            arguments = opened.arguments(queries.row(q).tokens)
            mean = len(arguments[2]) * tokens.codes.dim // max(1, len(tokens.codes))
            for part in slices(candidates.shape[1], len(queries.row(q).tokens) * mean):
                own: tuple[Any, ...] = (tokens.codes.offsets, candidates[q, part], out_distances[q, part])
                tokens_numba.distances(*arguments, *own)

        self._each(run, len(queries))
