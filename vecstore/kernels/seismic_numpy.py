"""The law of `seismic_search`: the search as its contract describes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.seismic import BLOCK, BUDGET, CHUNK, TERMS_MAX, SeismicArrays, Visit
from vecstore.kernels.seismic_records import decoded
from vecstore.kernels.sparse import Saturation
from vecstore.kernels.sparse_numpy import write_nearest
from vecstore.kernels.stop import check_stop
from vecstore.packed_sparse import StoredRows
from vecstore.sparse import SparseRows

Int64Array = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class QueryTerms:
    """The terms of a query that take part, heaviest first."""

    terms: Int64Array  # places among the index's
    weights: Int64Array  # 1 to 65535
    left_out: int
    unit: float = 0.0  # of the score, of one of a sum

    @property
    def slack(self) -> int:
        return int(((self.weights >> 8) + 3).sum())


def query_terms(a: SeismicArrays, query: SparseRows, visit: Visit) -> QueryTerms:
    if not len(a.terms) or not query.nnz:
        return QueryTerms(np.empty(0, np.int64), np.empty(0, np.int64), 0)
    places = np.searchsorted(a.terms, query.indices).clip(max=len(a.terms) - 1)
    known = (a.terms[places] == query.indices) & (query.values > 0)
    places, values = places[known], query.values[known].astype(np.float64)
    products = values * a.scales[places].astype(np.float64)
    order = np.lexsort((places, -products))
    places, products = places[order], products[order]
    reach = np.cumsum(products)  # one after the other, as every backend adds
    if not len(reach):
        return QueryTerms(places, places, 0)
    enough = int(np.searchsorted(reach, visit.share * reach[-1])) + 1 if visit.share < 1 else len(places)
    used = min(enough, len(places), visit.terms, TERMS_MAX)
    weights = np.minimum(np.floor(products[:used] * (BUDGET / reach[used - 1])) + 1, 65535).astype(np.int64)
    return QueryTerms(places[:used], weights, len(places) - used, float(reach[used - 1] * (256 / BUDGET)))


@dataclass(frozen=True, slots=True)
class Opened:
    """Arrays that were checked, and the block of every part."""

    arrays: SeismicArrays
    part_blocks: NDArray[Any]


def estimates(opened: Opened, terms: QueryTerms) -> Int64Array:
    """(blocks,)"""
    a = opened.arrays
    sums = np.zeros(a.blocks, np.int64)
    for term, weight in zip(terms.terms, terms.weights, strict=True):
        parts = slice(a.term_parts[term], a.term_parts[term + 1])
        sums[opened.part_blocks[parts]] += ((a.part_codes[parts].astype(np.int64) * weight) >> 8) + 1
    return sums


def read_blocks(opened: Opened, terms: QueryTerms, blocks: Int64Array) -> tuple[Int64Array, int]:
    """(m, 64) sums of the rows of these blocks, and how many parts were read."""
    a, part_blocks = opened.arrays, opened.part_blocks
    sums, read = np.zeros((len(blocks), BLOCK), np.int64), 0
    for term, weight in zip(terms.terms, terms.weights, strict=True):
        first, last = a.term_parts[term], a.term_parts[term + 1]
        at = first + np.searchsorted(part_blocks[first:last], blocks)
        held = np.flatnonzero(part_blocks[np.minimum(at, last - 1)] == blocks)
        entries = decoded(a, at[held])
        sums[held[entries.parts], entries.places] += ((entries.codes.astype(np.int64) * weight) >> 8) + 1
        read += len(held)
    return sums, read


Rerank = Callable[[SparseRows, StoredRows, Saturation | None, Int64Array, NDArray[np.float32]], None]
Estimate = Callable[[QueryTerms], Int64Array]
ReadBlocks = Callable[[QueryTerms, Int64Array], tuple[Int64Array, int]]


@dataclass(slots=True)
class Best:
    """The rows met with a sum, and what they ask of the blocks to come."""

    k: int
    visit: Visit
    slack: int
    sums: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    places: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    kth: int = 0

    def add(self, sums: Int64Array, places: Int64Array) -> None:
        self.sums, self.places = np.concatenate((self.sums, sums)), np.concatenate((self.places, places))
        order = np.lexsort((self.places, -self.sums))
        if len(order) >= self.k:
            self.kth = int(self.sums[order[self.k - 1]])
        if not self.visit.all:
            order = order[: self.k if self.visit.coded else max(self.k, self.visit.depth)]
        elif len(order) >= self.k:
            order = order[self.sums[order] >= max(1, self.kth - self.slack)]
        self.sums, self.places = self.sums[order], self.places[order]

    def least(self) -> float:
        """The least estimate of a block that is read."""
        if not self.visit.all:
            return self.kth / self.visit.block_factor
        return float(self.kth - self.slack) if self.visit.bounded else 0.0


def candidates(
    a: SeismicArrays, terms: QueryTerms, estimate: Int64Array, visit: Visit, allowed: NDArray[np.bool_] | None, k: int,
    read: ReadBlocks,
) -> tuple[Best, list[int]]:  # fmt: skip
    """The places to score, and the first two counters. `allowed` is (n,) by row."""
    best = Best(k, visit, terms.slack)
    counted, records = 0, 0

    def look(blocks: Int64Array) -> None:
        nonlocal counted, records
        check_stop()
        sums, read_now = read(terms, blocks)
        places = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
        met = np.flatnonzero(sums.ravel())
        if allowed is not None:
            met = met[allowed[a.rows[places[met]]]]
        best.add(sums.ravel()[met], places[met])
        counted, records = counted + len(blocks), records + read_now

    first = max(1, visit.first)
    cut = max(1, int(np.partition(estimate, len(estimate) - first)[-first])) if first <= len(estimate) else 1
    nearest = np.flatnonzero(estimate >= cut)
    for begin in range(0, len(nearest), CHUNK):
        look(nearest[begin : begin + CHUNK])
    others = np.flatnonzero((estimate < cut) & (estimate >= max(1, ceil(best.least()))))
    chunk: list[int] = []
    for block in others.tolist():
        if estimate[block] >= best.least():
            chunk.append(block)
            if len(chunk) == CHUNK:
                look(np.array(chunk))
                chunk = []
    if chunk:
        look(np.array(chunk))
    return best, [counted, records]


def search(
    rerank: Rerank, a: SeismicArrays, rows: StoredRows, query: SparseRows, visit: Visit,
    allowed: NDArray[np.bool_] | None, estimate: Estimate, read: ReadBlocks, out_rows: Int64Array,
    out_distances: NDArray[np.float32], out_counters: Int64Array,
) -> None:  # fmt: skip
    """One query; `estimate` and `read` do what `estimates` and `read_blocks` do."""
    terms = query_terms(a, query, visit)
    best, counters = candidates(a, terms, estimate(terms), visit, allowed, len(out_rows), read)
    scored = a.rows[best.places].astype(np.int64)
    by_row = np.argsort(scored)
    scored = scored[by_row]
    if visit.coded:
        write_nearest(scored, (-(best.sums[by_row] * terms.unit)).astype(np.float32), out_rows, out_distances)
        counters.append(0)
    else:
        distances = np.empty((1, len(scored)), np.float32)
        rerank(query, rows, None, scored[None], distances)
        matched = distances[0] < np.inf
        write_nearest(scored[matched], distances[0, matched], out_rows, out_distances)
        counters.append(len(scored))
    out_counters[:] = (*counters, terms.left_out, int((query.values <= 0).sum()))


def sketch_nearest(
    ids: NDArray[np.uint32], weights: NDArray[np.float32], members: Int64Array, centroids: NDArray[np.float32],
    out: NDArray[np.int32],
) -> None:  # fmt: skip
    sums = np.zeros((len(members), centroids.shape[1]), np.float32)
    for column in range(ids.shape[1]):
        sums += weights[members, column, None] * centroids[ids[members, column]]
    out[:] = np.argmax(sums, axis=1)
