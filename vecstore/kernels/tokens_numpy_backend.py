"""The law for rows of tokens."""

from __future__ import annotations

import numpy as np

from vecstore.kernels import (
    maxsim_numpy,
    tokens_numpy,
)
from vecstore.kernels.allowed import allowed_mask, allowed_rows
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
from vecstore.kernels.numpy_rows import merge_into
from vecstore.kernels.token_row_bytes import TokenRowBytes
from vecstore.kernels.tokens import OpenTokens, TokenCodes
from vecstore.kernels.tokens_numpy import PythonTokens
from vecstore.tokens import TokenRows


class NumpyTokens:
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
        out_rows.fill(-1)
        out_distances.fill(np.inf)
        if out_rows.size == 0:
            return
        listed = allowed_rows(allowed, len(rows))
        listed = listed[rows.offsets[listed + 1] > rows.offsets[listed]]
        for q, query in enumerate(queries):
            merge_into(out_rows[q], out_distances[q], listed, maxsim_numpy.query_distances(query.tokens, rows, listed))

    def maxsim_rerank(
        self, queries: TokenRows, rows: TokenRows, candidates: Int64Array, out_distances: Float32Array
    ) -> None:
        check_maxsim_rerank(queries, rows, candidates, out_distances)
        out_distances.fill(np.inf)
        for q, query in enumerate(queries):
            used = candidates[q] >= 0
            out_distances[q, used] = maxsim_numpy.query_distances(query.tokens, rows, candidates[q, used])

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
        for q, query in enumerate(queries):
            tokens_numpy.search(tokens.handle, query.tokens, lists, mask, *(out[q] for out in outputs))

    def token_rerank(
        self, tokens: OpenTokens, queries: TokenRows, candidates: Int64Array, out_distances: Float32Array
    ) -> None:
        check_token_rerank(tokens.codes, queries, candidates, out_distances)
        opened: PythonTokens = tokens.handle
        for q, query in enumerate(queries):
            out_distances[q] = opened.distances(query.tokens, candidates[q])
