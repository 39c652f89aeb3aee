"""The compiled loops of late interaction. A query's tokens stand side by side, so that the innermost loop runs over
them and becomes SIMD. float16 travels as int16."""

# mypy: ignore-errors
# The bodies are in Numba's language, as in numba_loops.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from vecstore.kernels.numba_loops import _SUMS, _offer, _widen, stopped

_STOP_TOKENS = 64  # of a document, between two looks at whether to stop


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _distance(lanes: Any, tokens: Any, begin: int, end: int, sums: Any, best: Any, flag: Any) -> Any:
    """Minus the score of tokens begin..end-1 with a query's `lanes` (dim, m)."""
    dim, width = lanes.shape
    best[:] = -np.inf
    for t in range(begin, end):
        if (t - begin) % _STOP_TOKENS == 0 and stopped(flag):
            break
        sums[:] = 0
        for d in range(dim):
            x = _widen(tokens[t, d])
            for q in range(width):
                sums[q] += x * lanes[d, q]
        for q in range(width):
            best[q] = max(best[q], sums[q])
    total = 0.0
    for q in range(width):
        total += best[q]
    return np.float32(0.0 - total)


@njit(nogil=True, cache=True)
def scan(
    lanes: Any,
    tokens: Any,
    offsets: Any,
    listed: Any,
    is_all: bool,
    begin: int,
    end: int,
    rows: Any,
    heap: Any,
    flag: Any,
) -> None:
    """Offers rows begin..end-1, or the listed ones in these places, to one query's heap."""
    sums, best = np.empty(lanes.shape[1], np.float32), np.empty(lanes.shape[1], np.float32)
    for place in range(begin, end):
        row = place if is_all else listed[place]
        if offsets[row + 1] > offsets[row]:
            _offer(heap, rows, _distance(lanes, tokens, offsets[row], offsets[row + 1], sums, best, flag), row)


@njit(nogil=True, cache=True)
def rerank(lanes: Any, tokens: Any, offsets: Any, candidates: Any, out: Any, flag: Any) -> None:
    sums, best = np.empty(lanes.shape[1], np.float32), np.empty(lanes.shape[1], np.float32)
    for i in range(len(candidates)):
        row = candidates[i]
        out[i] = np.inf
        if row >= 0 and offsets[row + 1] > offsets[row]:
            out[i] = _distance(lanes, tokens, offsets[row], offsets[row + 1], sums, best, flag)
