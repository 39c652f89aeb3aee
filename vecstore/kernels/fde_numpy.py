"""The scatter of fixed dimensional encodings in numpy, in the order of sums that the native code has."""

from __future__ import annotations

import numpy as np

from vecstore.kernels.base import Float32Array, Int64Array


def cells(
    signs: Float32Array, projected: Float32Array, offsets: Int64Array, repetitions: int, k_sim: int, width: int,
    mean: bool, fill: bool, out: Float32Array,
) -> None:  # fmt: skip
    """signs (T, repetitions * k_sim), projected (T, repetitions * width), to out (n, repetitions * 2^k_sim * width)."""
    n, ncells = len(offsets) - 1, 1 << k_sim
    rows = np.repeat(np.arange(n), np.diff(offsets))
    places = np.arange(len(rows)) - np.repeat(offsets[:-1], np.diff(offsets))
    for r in range(repetitions):
        ranks = np.zeros(len(rows), np.int64)
        for t in range(k_sim):
            ranks = ranks << 1 | ((signs[:, r * k_sim + t] > 0).astype(np.int64) ^ (ranks & 1))
        own = projected[:, r * width : (r + 1) * width]
        sums, counts = np.zeros((n, ncells, width), np.float32), np.zeros((n, ncells), np.int64)
        for place in range(int(places.max(initial=-1)) + 1):  # all rows' first tokens, then their second ones, ...
            some = np.flatnonzero(places == place)
            sums[rows[some], ranks[some]] += own[some]
            counts[rows[some], ranks[some]] += 1
        if mean:
            sums /= np.maximum(counts, 1)[:, :, None].astype(np.float32)
            if fill:
                _fill(sums, counts, own, ranks, offsets)
        out[:, r * ncells * width : (r + 1) * ncells * width] = sums.reshape(n, -1)


def _fill(
    sums: Float32Array, counts: Int64Array, projected: Float32Array, ranks: Int64Array, offsets: Int64Array
) -> None:
    numbers = np.arange(sums.shape[1])
    words = numbers ^ (numbers >> 1)
    apart = np.bitwise_count(words[:, None] ^ words[None, :]).astype(np.int64)
    for row in np.flatnonzero(np.diff(offsets)):
        own = ranks[offsets[row] : offsets[row + 1]]
        empty = np.flatnonzero(counts[row] == 0)
        nearest = apart[np.ix_(empty, own)].argmin(axis=1)
        sums[row, empty] = projected[offsets[row] + nearest]
