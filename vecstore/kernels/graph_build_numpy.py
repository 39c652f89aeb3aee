"""The law of `graph_builder`. A candidate is one number, the bits of its squared distance (never negative) above its
row, so that numbers sort by distance, then row.

The steps that compare many rows come one by one as methods, which a compiled backend replaces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.kernels.graph import BuildParams, ByteRows, UInt32Array
from vecstore.kernels.graph_carve import carve_rows
from vecstore.kernels.graph_checks import check_held, check_part, check_seed
from vecstore.kernels.graph_queries import products

Keys = NDArray[np.uint64]

NO_KEY = np.uint64((1 << 63) - 1)  # behind every key: a distance has no sign
_LOW = np.uint64((1 << 32) - 1)
_PART = 1024  # rows compared with leaders at once


def keys_of(distances: Float32Array, rows: NDArray[np.integer]) -> Keys:
    keys: Keys = distances.view(np.uint32).astype(np.uint64) << np.uint64(32) | rows.astype(np.uint64)
    return keys


def rows_of(keys: Keys) -> Int64Array:
    return (keys & _LOW).astype(np.int64)


def distances_of(keys: Keys) -> Float32Array:
    return (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)


class NumpyGraphBuilder:
    def __init__(self, rows: ByteRows, params: BuildParams, neighbours: UInt32Array) -> None:
        self._rows, self._params, self._neighbours = rows, params, neighbours
        self._n, self._degree = neighbours.shape
        self._leaves: list[Int64Array] = []
        self._reservoirs = np.full((self._n, params.reservoir), NO_KEY)  # ascending, filled up with NO_KEY
        self._degrees = np.zeros(self._n, np.int64)  # neighbours that pruning kept
        self._sources = np.empty(0, np.int64)  # the rows that chose each row, ascending
        self._source_ends: Int64Array | None = None  # (n,)

    def carve(self) -> int:
        self._leaves = carve_rows(self._n, self._params, self._follow)
        return len(self._leaves)

    def join(self, begin: int, end: int) -> None:
        check_part(begin, end, len(self._leaves))
        for leaf in self._leaves[begin:end]:
            if len(leaf) > 1:
                self._join_leaf(leaf)

    def seed(self, rows: UInt32Array, neighbours: UInt32Array) -> None:
        check_seed(self._n, rows, neighbours)
        for row, listed in zip(rows.tolist(), neighbours, strict=True):
            others = np.setdiff1d(listed, row).astype(np.int64)
            if len(others):
                self._keep(np.full(len(others), row), self._scored(row, others))

    def prune(self, begin: int, end: int) -> None:
        check_part(begin, end, self._n)
        for row in range(begin, end):
            kept, _ = self._select(self._held(row))
            self._neighbours[row] = row
            self._neighbours[row, : len(kept)] = rows_of(kept)
            self._degrees[row] = len(kept)

    def pruned(self, begin: int, end: int) -> None:
        check_part(begin, end, self._n)
        numbers = np.arange(begin, end)
        check_seed(self._n, numbers.astype(np.uint32), self._neighbours[begin:end])
        self._degrees[begin:end] = (self._neighbours[begin:end] != numbers[:, None]).sum(axis=1)

    def held(self, begin: int, end: int, out: UInt32Array) -> None:
        check_part(begin, end, self._n)
        check_held(out, end - begin, self._params.reservoir)
        keys = self._reservoirs[begin:end]
        np.copyto(out, np.where(keys == NO_KEY, np.arange(begin, end)[:, None], rows_of(keys)), casting="unsafe")

    def reverse(self) -> None:
        kept = np.arange(self._degree) < self._degrees[:, None]
        sources = np.nonzero(kept)[0]
        targets = self._neighbours[kept]
        order = np.argsort(targets, kind="stable")
        self._sources = sources[order]
        self._source_ends = np.cumsum(np.bincount(targets, minlength=self._n))

    def finish(self, begin: int, end: int) -> None:
        ends = self._check_finish(begin, end)
        for row in range(begin, end):
            sources = self._sources[ends[row - 1] if row else 0 : ends[row]]
            found = np.concatenate((self._scored(row, sources), self._held(row)))
            kept, others = self._select(np.unique(found)[: 2 * self._params.reservoir])
            chosen = rows_of(np.concatenate((kept, others)))[: self._degree]
            self._neighbours[row] = row
            self._neighbours[row, : len(chosen)] = chosen

    def _check_finish(self, begin: int, end: int) -> Int64Array:
        check_part(begin, end, self._n)
        if self._source_ends is None:
            raise ValueError("finish comes after reverse")
        return self._source_ends

    def _distances(self, some: NDArray[np.integer], others: NDArray[np.integer]) -> Float32Array:
        """Squared distances (a, b), the same bits either way round, exactly zero between equal rows."""
        r = self._rows
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (r.scales[some][:, None] * r.scales[others]) * products(r.bytes[some], r.bytes[others])
            distances = (r.squares[some][:, None] + r.squares[others]) - 2 * scaled
        return np.where(distances > 0, distances, np.float32(0))

    def _follow(self, rows: Int64Array, leaders: Int64Array, fanout: int) -> Int64Array:
        parts = []
        for begin in range(0, len(rows), _PART):
            distances = self._distances(rows[begin : begin + _PART], leaders)
            parts.append(np.argsort(distances, axis=1, kind="stable")[:, :fanout])
        return np.concatenate(parts)

    def _join_leaf(self, leaf: Int64Array) -> None:
        nearest = min(self._params.leaf_nearest, len(leaf) - 1)
        distances = self._distances(leaf, leaf)
        np.fill_diagonal(distances, np.inf)
        # Places in the leaf ascend as rows do: a stable sort orders by (distance, row).
        places = np.argsort(distances, axis=1, kind="stable")[:, :nearest]
        rows, others = np.repeat(leaf, nearest), leaf[places].ravel()
        between = np.take_along_axis(distances, places, axis=1).ravel()
        found = keys_of(between, others), keys_of(between, rows)
        self._keep(np.concatenate((rows, others)), np.concatenate(found))

    def _keep(self, rows: Int64Array, found: Keys) -> None:
        """Merge candidates into their rows' reservoirs, which end as the nearest of all that was ever found."""
        order = np.argsort(rows, kind="stable")
        touched, starts = np.unique(rows[order], return_index=True)
        for row, keys in zip(touched.tolist(), np.split(found[order], starts[1:]), strict=True):
            merged = np.unique(np.concatenate((self._reservoirs[row], keys)))[: self._params.reservoir]
            self._reservoirs[row, : len(merged)] = merged

    def _held(self, row: int) -> Keys:
        held: Keys = self._reservoirs[row]
        return held[: np.searchsorted(held, NO_KEY)]

    def _scored(self, row: int, others: Int64Array) -> Keys:
        return keys_of(self._distances(np.array([row]), others)[0], others)

    def _select(self, candidates: Keys) -> tuple[Keys, Keys]:
        """Of candidates in order, those that no chosen one is much nearer to than the row is, at most a list's length;
        and the others, by how many chosen ones are, then in order."""
        rows, to_row = rows_of(candidates), distances_of(candidates)
        occludes = np.float32(self._params.alpha) * self._distances(rows, rows) <= to_row
        occluders, chosen = np.zeros(len(rows), np.int64), np.zeros(len(rows), bool)
        for place in range(len(rows)):
            if occluders[place] or chosen.sum() == self._degree:
                continue
            chosen[place] = True
            occluders[place + 1 :] += occludes[place, place + 1 :]
        others = np.flatnonzero(~chosen)
        return candidates[chosen], candidates[others[np.argsort(occluders[others], kind="stable")]]
