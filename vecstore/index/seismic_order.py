"""An order of sparse rows in which similar ones are neighbours: clusters of clusters, by spherical k-means on the
heaviest entries of each row, the clusters of a level side by side where their centroids are near.

Every draw comes from one generator in an order of its own, so that threads do not change what comes out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.index.base import Progress
from vecstore.kernels.base import Float32Array, Int64Array, Kernels
from vecstore.kernels.graph import UInt32Array
from vecstore.kernels.seismic import BLOCK
from vecstore.packed_sparse import StoredRows, places_of

WIDTH = 64  # entries of a row that take part
TERMS_MAX = 1 << 16  # the commonest take part
FANOUT = 64  # clusters that one is cut into
ROUNDS = 8
SAMPLE_PER_CLUSTER, SAMPLE_MIN = 512, 4096  # rows that centroids are fitted to
DEPTH_MAX = 16  # rows that still are together are left so
SEED = 0
_BATCH = 8192  # rows


@dataclass(frozen=True, slots=True)
class Sketches:
    """Each row's heaviest entries, at unit length; 0 fills up."""

    ids: UInt32Array  # (n, WIDTH)
    weights: Float32Array  # (n, WIDTH)


def sketches(rows: StoredRows, terms: UInt32Array, counts: Int64Array, progress: Progress) -> Sketches:
    """`terms` and `counts` as `count_terms` gives them."""
    chosen = np.sort(np.argsort(-counts, kind="stable")[:TERMS_MAX])
    number = np.full(len(terms), -1, np.int64)
    number[chosen] = np.arange(len(chosen))
    n = len(rows)
    out = Sketches(np.zeros((n, WIDTH), np.uint32), np.zeros((n, WIDTH), np.float32))
    for low in range(0, n, _BATCH):
        progress("sketch", low, n)
        part = rows[low : low + _BATCH]
        row_of = np.repeat(np.arange(len(part)), np.diff(part.offsets))
        ids = number[places_of(terms, part.indices)]
        values = part.values.astype(np.float32)
        order = np.lexsort((-values, row_of))
        rank = np.arange(len(order)) - np.repeat(part.offsets[:-1], np.diff(part.offsets))
        order, rank = order[rank < WIDTH], rank[rank < WIDTH]
        order, rank = order[ids[order] >= 0], rank[ids[order] >= 0]
        weights = np.zeros((len(part), WIDTH), np.float32)
        weights[row_of[order], rank] = values[order]
        out.ids[low + row_of[order], rank] = ids[order]
        norms = np.sqrt((weights.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
        np.divide(weights, norms, out=out.weights[low : low + len(part)], where=norms > 0, casting="same_kind")
    return out


def similar_order(sketch: Sketches, kernels: Kernels, progress: Progress) -> UInt32Array:
    """(n,) the row at each place; rows without an entry come last."""
    filled: NDArray[np.bool_] = (sketch.weights != 0).any(axis=1)
    n = int(filled.sum())
    order = np.empty(len(filled), np.uint32)
    order[n:] = np.flatnonzero(~filled)
    rng = np.random.default_rng(SEED)
    placed = 0
    stack = [(np.flatnonzero(filled), 0)]
    while stack:
        members, depth = stack.pop()
        parts = [members]
        if len(members) > BLOCK and depth < DEPTH_MAX:
            parts = _split(sketch, members, rng, kernels)
        if len(parts) > 1:
            stack += [(part, depth + 1) for part in reversed(parts)]
            continue
        progress("order", placed, n)
        order[placed : placed + len(members)] = members
        placed += len(members)
    return order


def _split(sketch: Sketches, members: Int64Array, rng: np.random.Generator, kernels: Kernels) -> list[Int64Array]:
    """The clusters of these rows, near ones side by side."""
    blocks = -(-len(members) // BLOCK)
    count = min(FANOUT, blocks)
    if FANOUT < blocks < FANOUT * FANOUT:
        count = int(np.ceil(np.sqrt(blocks)))
    used = np.unique(sketch.ids[members])
    local = Sketches(np.searchsorted(used, sketch.ids[members]).astype(np.uint32), sketch.weights[members])
    mixed = rng.permutation(len(members))
    sample = mixed[: max(SAMPLE_PER_CLUSTER * count, SAMPLE_MIN)]
    labels = np.full(len(sample), -1, np.int32)
    labels[:count] = np.arange(count)
    for _ in range(ROUNDS):
        centroids = _centroids(local, sample, labels, count, len(used), rng)
        kernels.sketch_nearest(local.ids, local.weights, sample, centroids, labels)
    centroids = _centroids(local, sample, labels, count, len(used), rng)
    labels = np.empty(len(members), np.int32)
    kernels.sketch_nearest(local.ids, local.weights, np.arange(len(members)), centroids, labels)
    return [members[labels == c] for c in _chained(centroids) if (labels == c).any()]


def _centroids(
    local: Sketches, sample: Int64Array, labels: NDArray[np.int32], count: int, terms: int, rng: np.random.Generator
) -> Float32Array:
    """(terms, count) directions of the rows of each label; a label without rows gets one of the rows."""
    held = np.bincount(labels[labels >= 0], minlength=count)
    empty = np.flatnonzero(held == 0)
    if len(empty):
        labels = labels.copy()
        labels[rng.integers(0, len(sample), len(empty))] = empty
    rows = sample[labels >= 0]
    keys = local.ids[rows].astype(np.int64) * count + labels[labels >= 0, None]
    sums = np.bincount(keys.ravel(), local.weights[rows].ravel(), terms * count).reshape(terms, count)
    norms = np.sqrt((sums * sums).sum(axis=0))
    return (sums / np.where(norms > 0, norms, 1)).astype(np.float32)


def _chained(centroids: Float32Array) -> list[int]:
    """Each centroid followed by the one nearest to it of those that are left."""
    near = np.einsum("tc,td->cd", centroids, centroids)  # no matrix product: its sums depend on threads
    chain, left = [0], set(range(1, len(near)))
    while left:
        last = near[chain[-1]]
        following = max(left, key=lambda c: (last[c], -c))
        chain.append(following)
        left.remove(following)
    return chain
