"""The graph builder of the Numba backend: the law's steps, with the loops over pairs compiled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from vecstore.kernels import graph_pairs_numba as pairs
from vecstore.kernels.base import Int64Array
from vecstore.kernels.graph import BuildParams, ByteRows, UInt32Array
from vecstore.kernels.graph_build_numpy import NumpyGraphBuilder
from vecstore.kernels.graph_checks import check_part, check_seed

# Runs a part over slices of so many items, on threads where the bytes that it touches are worth it.
Spread = Callable[[Callable[[int, int], None], int, int], None]


class NumbaGraphBuilder(NumpyGraphBuilder):
    def __init__(self, rows: ByteRows, params: BuildParams, neighbours: UInt32Array, spread: Spread) -> None:
        super().__init__(rows, params, neighbours)
        self._arrays = rows.bytes, rows.scales, rows.squares
        self._spread_work = spread
        self._alpha: Any = np.float32(params.alpha)
        self._lock = threading.Lock()  # of the reservoirs

    def join(self, begin: int, end: int) -> None:
        check_part(begin, end, len(self._leaves))
        leaves = self._leaves[begin:end]

        def part(first: int, last: int) -> None:
            for leaf in leaves[first:last]:
                nearest = min(self._params.leaf_nearest, len(leaf) - 1)
                if nearest < 1:
                    continue
                found = pairs.nearest_in_leaf(self._arrays, leaf, nearest)
                with self._lock:
                    pairs.keep_edges(leaf, found, self._held_keys())

        self._spread_work(part, len(leaves), sum(map(len, leaves)) * self._row_work())

    def seed(self, rows: UInt32Array, neighbours: UInt32Array) -> None:
        check_seed(self._n, rows, neighbours)
        pairs.keep_known(self._arrays, rows, neighbours, self._held_keys())

    def prune(self, begin: int, end: int) -> None:
        check_part(begin, end, self._n)
        alpha, reservoirs = self._alpha, self._held_keys()

        def part(first: int, last: int) -> None:
            own = slice(begin + first, begin + last)
            outputs = self._neighbours[own], self._degrees[own]
            pairs.prune_rows(self._arrays, alpha, begin + first, reservoirs[own], *outputs)

        self._spread_work(part, end - begin, (end - begin) * self._row_work())

    def finish(self, begin: int, end: int) -> None:
        ends = self._check_finish(begin, end)
        alpha, reservoirs = self._alpha, self._held_keys()

        def part(first: int, last: int) -> None:
            rows = begin + first, begin + last
            pairs.finish_rows(self._arrays, alpha, *rows, self._sources, ends, reservoirs, self._neighbours)

        self._spread_work(part, end - begin, (end - begin) * self._row_work())

    def _follow(self, rows: Int64Array, leaders: Int64Array, fanout: int) -> Int64Array:
        followed = np.empty((len(rows), fanout), np.int64)

        def part(first: int, last: int) -> None:
            pairs.follow_rows(self._arrays, rows[first:last], leaders, followed[first:last])

        self._spread_work(part, len(rows), len(rows) * len(leaders) * self._rows.bytes.shape[1])
        return followed

    def _held_keys(self) -> Int64Array:
        return self._reservoirs.view(np.int64)

    def _row_work(self) -> int:
        """Bytes that one row is about to be compared with."""
        return self._params.reservoir * int(self._rows.bytes.shape[1])
