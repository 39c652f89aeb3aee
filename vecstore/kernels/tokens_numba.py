"""The compiled loops of token codes: products of bytes, and centroid interaction."""

# mypy: ignore-errors
# The bodies are in Numba's language, as in numba_loops.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def interact(table: Any, homes: Any, offsets: Any, listed: Any, scores: Any) -> None:
    """scores[i]: over the columns of `table` (C, m), the sum of the largest entry of a listed row's centroids."""
    best = np.empty(table.shape[1], np.uint8)
    for i in range(len(listed)):
        best[:] = 0
        for t in range(offsets[listed[i]], offsets[listed[i] + 1]):
            home = homes[t]
            for q in range(len(best)):
                best[q] = max(best[q], table[home, q])
        total = np.uint32(0)
        for q in range(len(best)):
            total += np.uint32(best[q])
        scores[i] = total


@njit(nogil=True, cache=True)
def distances(lanes: Any, steps: Any, coded: Any, bits: int, levels: Any, scales: Any, bases: Any, homes: Any,
              offsets: Any, listed: Any, out: Any) -> None:  # fmt: skip
    """Minus the scores of listed rows. `lanes` (dim, m) holds a query's bytes, `bases` (C, m) is empty for none."""
    dim, width = lanes.shape
    sums, best = np.empty(width, np.int32), np.empty(width, np.float32)
    stride, mask = coded.shape[1], (1 << bits) - 1
    for i in range(len(listed)):
        row = listed[i]
        out[i] = np.inf
        if row < 0 or offsets[row] == offsets[row + 1]:
            continue
        best[:] = -np.inf
        for t in range(offsets[row], offsets[row + 1]):
            sums[:] = 0
            for d in range(dim):
                byte = np.int32(coded[t, d % stride])
                x = byte - 128 if bits == 8 else np.int32(levels[byte >> (d // stride * bits) & mask]) - 128
                for q in range(width):
                    sums[q] += x * lanes[d, q]
            scale = scales[t]
            for q in range(width):
                value = steps[q] * np.float32(sums[q])
                if len(bases):
                    value = bases[homes[t], q] + value
                best[q] = max(best[q], value * scale)
        total = 0.0
        for q in range(width):
            total += best[q]
        out[i] = np.float32(0.0 - total)
