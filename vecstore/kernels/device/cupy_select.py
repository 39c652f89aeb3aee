"""Candidates on a GPU, and dense queries made ready: `cuda/select.cu` and `cuda/dense.cu`."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from vecstore.kernels.device.launch import THREADS, Module
from vecstore.kernels.device.shortlist import Ready, Shortlist, Terms
from vecstore.schema import Metric

KINDS = {np.dtype(np.float32): 0, np.dtype(np.float16): 1, np.dtype(np.uint16): 2}
METRICS = {Metric.L2: 0, Metric.DOT: 1, Metric.COSINE: 2}
TAKE_ROWS, TAKE_QUERIES = 4, 64  # as in select.cu
EXACT_BLOCKS = 8  # a query
NARROWING = 2.0**-9  # of TF32: 10 bits of each side, cut off


class CupySelect:
    module: Module

    def prepare(self, queries: Any, dtype: np.dtype[Any], metric: Metric, largest: float) -> Ready:
        (nq, dim), dtype = queries.shape, np.dtype(dtype)
        array = cupy.empty((nq, dim), dtype)
        step, start, spread = (cupy.empty(shape, np.float32) for shape in (nq, (nq, 1), (nq, 1)))
        lengths, lost = cupy.empty(nq, np.float64), cupy.empty(nq, np.uint8)
        narrowing = NARROWING if dtype == np.float32 else 0.0
        self.module.launch(
            "prepare", (nq,), queries, array, step, start, spread, lengths, lost, np.int32(dim),
            np.int32(KINDS[dtype]), np.int32(METRICS[metric]), np.float64(largest),
            np.float64(narrowing),
        )  # fmt: skip
        return Ready(array, step, start, spread, lengths, lost)

    def take(self, short: Shortlist, products: Any, terms: Terms) -> None:
        rows = products.shape[1]
        lines = len(short.counts) if terms.queries is None else len(terms.queries)
        allowed_rows = 0 if terms.allowed is None else 64 * len(terms.allowed)
        self.module.launch(
            f"take_{'int' if products.dtype == np.int32 else 'float'}_{len(products) // lines}",
            (-(-rows // (THREADS * TAKE_ROWS)), -(-lines // TAKE_QUERIES)),
            products, terms.step, terms.start, terms.spread,
            np.int32(terms.start.shape[1]), terms.column, terms.add, terms.scale, terms.error, terms.numbers,
            terms.first, terms.allowed, allowed_rows, short.bounds, short.counts, short.keys, short.distances,
            short.room, rows, terms.queries, np.int32(lines), np.int32(len(short.counts)),
        )  # fmt: skip

    def tighten(self, short: Shortlist, more_than: int) -> None:
        self.module.launch(
            "tighten", (len(short.counts),), short.keys, short.distances, short.counts, short.bounds, short.lost,
            short.room, np.uint32(short.k), np.uint32(more_than),
        )  # fmt: skip

    def settle(self, short: Shortlist) -> None:
        distances, short.distances = short.distances, None
        self.module.launch("settle", (len(short.counts),), short.keys, distances, short.counts, short.room)

    def exact(self, short: Shortlist, rows: Any, queries: Any, ready: Ready, norms: Any | None, metric: Metric) -> None:
        short.distances = None
        self.module.launch(
            "exact", (len(short.counts), EXACT_BLOCKS), rows, queries, ready.lengths, norms, short.keys, short.counts,
            short.room, np.int32(rows.shape[1]), np.int32(KINDS[np.dtype(rows.dtype)]), np.int32(METRICS[metric]),
        )  # fmt: skip

    def exact_tokens(self, short: Shortlist, tokens: Any, offsets: Any, queries: Any, lines: Any) -> None:
        short.distances = None
        self.module.launch(
            "exact_tokens", (len(short.counts), EXACT_BLOCKS), tokens, offsets, queries, lines, short.keys,
            short.counts, short.room, np.int32(tokens.shape[1]), np.int32(KINDS[np.dtype(tokens.dtype)]),
        )  # fmt: skip

    def order(self, short: Shortlist, k: int) -> Any:
        nq = len(short.counts)
        out = cupy.empty(12 * nq * k + nq, np.uint8)
        rows, distances, lost = out[: 8 * nq * k], out[8 * nq * k : 12 * nq * k], out[12 * nq * k :]
        arguments = (short.keys, short.counts, short.lost, short.room, rows, distances, lost, np.uint32(k))
        self.module.launch("order", (nq,), *arguments)
        return out
