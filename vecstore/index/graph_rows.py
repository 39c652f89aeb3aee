"""What a graph is built from: rows as bytes around their mean, the same row only once, and where walks begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.index.base import Progress
from vecstore.index.kmeans import kmeans
from vecstore.index.stored_rows import BATCH, StoredRows
from vecstore.kernels.base import Float32Array, Int64Array, Kernels
from vecstore.kernels.graph import ByteRows, UInt32Array
from vecstore.schema import Metric

ENTRIES = 64
HUBS = 16  # the longest rows, which inner products favour wherever a query lies
_ITERATIONS = 4


def byte_rows(source: StoredRows, mean: Float32Array, progress: Progress) -> ByteRows:
    """All rows. Under an inner product each gets one more component, so that all are equally long: the nearest row by
    |q - x|^2 is then the one with the largest <q, x> (Bachrach et al., 2014)."""
    n, dim = len(source), source.field.dim
    inner = source.field.metric is Metric.DOT
    longest = (
        max((float(np.vecdot(rows, rows).max(initial=0)) for _, rows in source.batches()), default=0) if inner else 0
    )
    width = -(-(dim + inner) // 8) * 8
    rows8 = np.zeros((n, width), np.int8)
    scales, squares, sums = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.int32)
    for low, rows in source.batches(BATCH):
        progress("round rows", low, n)
        part = slice(low, low + len(rows))
        centred = np.zeros((len(rows), width), np.float32)
        np.subtract(rows, mean, out=centred[:, :dim])
        if inner:
            centred[:, dim] = np.sqrt(np.maximum(longest - np.vecdot(rows, rows), 0))
        tops = np.abs(centred).max(axis=1)
        inverse = np.divide(np.float32(127), tops, out=np.zeros_like(tops), where=tops > 0)
        centred *= inverse[:, None]
        np.rint(centred, out=centred)
        rows8[part] = centred
        scales[part] = tops / np.float32(127)
        squares[part] = (scales[part] * scales[part]) * np.vecdot(centred, centred)  # integers below 2^24: exact
        sums[part] = centred.sum(axis=1)
    progress("round rows", n, n)
    return ByteRows(rows8, scales, squares, sums)


@dataclass(frozen=True, slots=True)
class Distinct:
    """Rows of which no two are the same, and how the others hang on them."""

    rows: Int64Array  # ascending: the first of each group of equal rows
    again: Int64Array  # (m,) the others
    first: Int64Array  # (m,) the equal row in `rows`, as its number there


def distinct(rows: ByteRows) -> Distinct:
    """Equal rows would be each other's nearest neighbours and know nobody else."""
    words = rows.bytes.view(np.uint64)
    odd = np.random.default_rng(0).integers(1, 1 << 63, words.shape[1], dtype=np.uint64) | np.uint64(1)
    hashes = np.concatenate([(words[low : low + BATCH] * odd).sum(axis=1) for low in range(0, len(words), BATCH)])
    hashes ^= rows.scales.view(np.uint32)
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    origin = first[inverse]
    same = origin != np.arange(len(hashes))
    for low in range(0, len(hashes), BATCH):  # equal hashes are not yet equal rows
        part = np.flatnonzero(same[low : low + BATCH]) + low
        same[part] = (rows.bytes[part] == rows.bytes[origin[part]]).all(axis=1)
    kept = np.flatnonzero(~same)
    number = np.cumsum(~same) - 1
    again = np.flatnonzero(same)
    return Distinct(kept, again, number[origin[again]])


def taken(rows: ByteRows, numbers: Int64Array) -> ByteRows:
    """Rows of ascending numbers, moved to the front of the same memory."""
    if len(numbers) == len(rows.bytes):
        return rows
    for low in range(0, len(numbers), BATCH):
        part = numbers[low : low + BATCH]
        for array in (rows.bytes, rows.scales, rows.squares, rows.sums):
            array[low : low + len(part)] = array[part]
    n = len(numbers)
    return ByteRows(rows.bytes[:n], rows.scales[:n], rows.squares[:n], rows.sums[:n])


def entries(source: StoredRows, sample: Int64Array, kernels: Kernels, progress: Progress) -> UInt32Array:
    """Rows near the centroids of a sample; under an inner product also the longest."""
    vectors = source.take(sample)
    nlist = min(ENTRIES, len(sample))
    centroids = kmeans(Metric.L2, vectors, nlist, kernels, progress, iterations=_ITERATIONS)
    found, distances = np.empty((nlist, 1), np.int64), np.empty((nlist, 1), np.float32)
    kernels.scan(Metric.L2, centroids, vectors, None, None, found, distances)
    chosen = sample[found[:, 0]]
    if source.field.metric is Metric.DOT:
        lengths: NDArray[np.float32] = np.concatenate([np.vecdot(rows, rows) for _, rows in source.batches()])
        chosen = np.concatenate([chosen, np.argsort(-lengths, kind="stable")[:HUBS]])
    return np.unique(chosen).astype(np.uint32)
