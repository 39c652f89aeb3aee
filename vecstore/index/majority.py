"""k-majority: k-means for packed bits, where a centroid's bit is what most of its rows have (Grana et al., 2013)."""

from __future__ import annotations

import numpy as np

from vecstore.index.base import Progress
from vecstore.kernels.base import Int64Array, Kernels, UInt8Array

_ITERATIONS = 10
_SAMPLE_PER_LIST = 64
_BLOCK = 1024  # rows assigned in one call: the progress of a long build is seen, and its results stay small


def train_centroids(kernels: Kernels, rows: UInt8Array, nlist: int, progress: Progress) -> UInt8Array:
    """Centroids (nlist, nbytes) of packed rows (n, nbytes), n >= nlist. The same rows give the same centroids."""
    rng = np.random.default_rng(0)
    if not len(rows):
        return np.zeros((nlist, rows.shape[1]), np.uint8)
    chosen = rng.choice(len(rows), min(len(rows), nlist * _SAMPLE_PER_LIST), replace=False)
    sample = np.ascontiguousarray(rows[np.sort(chosen)])
    centroids = sample[rng.choice(len(sample), nlist, replace=False)]
    assigned: Int64Array | None = None
    for iteration in range(_ITERATIONS):
        progress("train", iteration, _ITERATIONS)
        before, assigned = assigned, nearest_centroids(kernels, sample, centroids)
        if before is not None and (before == assigned).all():
            break
        centroids = _majorities(sample, assigned, nlist, rng)
    progress("train", _ITERATIONS, _ITERATIONS)
    return centroids


def nearest_centroids(
    kernels: Kernels, rows: UInt8Array, centroids: UInt8Array, progress: Progress | None = None
) -> Int64Array:
    """The nearest centroid of each row (n,), the lower number where two are as near."""
    assigned = np.empty(len(rows), np.int64)
    for first in range(0, len(rows), _BLOCK):
        block = np.ascontiguousarray(rows[first : first + _BLOCK])
        places = assigned[first : first + _BLOCK, None]
        kernels.hamming_scan(block, centroids, None, places, np.empty(places.shape, np.float32))
        if progress is not None:
            progress("assign", first + len(block), len(rows))
    return assigned


def _majorities(sample: UInt8Array, assigned: Int64Array, nlist: int, rng: np.random.Generator) -> UInt8Array:
    """Each list's majority bits, ties at random; a list without rows starts again from a row of the sample."""
    order = np.argsort(assigned, kind="stable")
    counts = np.bincount(assigned, minlength=nlist)
    ends = np.cumsum(counts)
    held = np.flatnonzero(counts)
    balance = np.empty((len(held), 8 * sample.shape[1]), np.int32)
    for i, one in enumerate(held):
        bits = np.unpackbits(sample[order[ends[one] - counts[one] : ends[one]]], axis=1)
        balance[i] = 2 * bits.sum(axis=0, dtype=np.int32) - counts[one]
    ties = rng.integers(0, 2, balance.shape, np.int32)
    centroids = np.empty((nlist, sample.shape[1]), np.uint8)
    centroids[held] = np.packbits(2 * balance + ties > 0, axis=1)
    empty = np.flatnonzero(counts == 0)
    centroids[empty] = sample[rng.choice(len(sample), len(empty), replace=False)]
    return centroids
