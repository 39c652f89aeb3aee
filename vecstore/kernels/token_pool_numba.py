"""The compiled loops of pooling for the Numba backend: the arithmetic of `token_pool_numpy`, in its order."""

# mypy: ignore-errors
# The bodies are in Numba's language: see numba_loops.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from vecstore.kernels.token_pool_numpy import DIRECTION, LANES

_ONE, _ZERO, _NONE = np.float32(1), np.float32(0), np.float32(np.inf)


@njit(nogil=True, cache=True)
def pool_tokens(tokens: Any, offsets: Any, kept: int, out_offsets: Any, out: Any) -> None:
    for row in range(len(offsets) - 1):
        own, room = tokens[offsets[row] : offsets[row + 1]], out[out_offsets[row] : out_offsets[row + 1]]
        whole = min(kept, len(own))
        room[:whole] = own[:whole]
        clusters = len(room) - whole
        if clusters == len(own) - whole:
            room[whole:] = own[whole:]
        else:
            weights = np.empty(len(own) - whole, np.float32)
            distances = _distances(own[whole:], weights)
            _means(own[whole:], weights, _labels(distances, clusters), room[whole:])


@njit(nogil=True, cache=True)
def _distances(tokens: Any, weights: Any) -> Any:
    n, dim = tokens.shape
    values, inverses = np.empty((n, dim), np.int32), np.empty(n, np.float32)
    scaled = np.empty(dim, np.float32)
    for t in range(n):
        top = _ZERO
        for d in range(dim):
            top = max(top, abs(tokens[t, d]))
        inverse = np.float32(127) / top if top >= DIRECTION else _ZERO
        product = np.int32(0)
        for d in range(dim):
            scaled[d] = tokens[t, d] * inverse
            value = np.int32(np.rint(scaled[d]))
            values[t, d] = value
            product += value * value
        square = _square(scaled)
        weights[t] = inverse / np.sqrt(square) if square > 0 else _ZERO
        inverses[t] = _ONE / np.sqrt(np.float32(product)) if product > 0 else _ZERO
    out = np.empty((n, n), np.float32)
    for a in range(n):
        out[a, a] = _NONE
        for b in range(a):
            product = np.int32(0)
            for d in range(dim):
                product += values[a, d] * values[b, d]
            out[a, b] = out[b, a] = max(_ONE - np.float32(product) * (inverses[a] * inverses[b]), _ZERO)
    return out


@njit(nogil=True, cache=True)
def _labels(distances: Any, clusters: int) -> Any:
    """Labels of tokens, numbered by first token; `distances` are written to.

    `least` is at most the distance of a cluster to the nearest after it, `nearest`, or -1 where that is not known."""
    n = len(distances)
    sizes, least, nearest = np.ones(n, np.float32), np.full(n, _NONE), np.full(n, -1)
    active, parents = np.ones(n, np.bool_), np.arange(n)
    for a in range(n):
        _find_nearest(distances, active, a, least, nearest)
    left = n
    while left > clusters:
        a = np.argmin(least)
        if nearest[a] < 0:
            height = least[a]
            _find_nearest(distances, active, a, least, nearest)
            if least[a] > height:
                continue
        _join(distances, active, a, nearest[a], least, nearest, sizes)
        parents[nearest[a]] = a
        nearest[a] = -1
        left -= 1
    labels, number = np.empty(n, np.int64), 0
    for t in range(n):
        if parents[t] == t:
            labels[t] = number
            number += 1
        else:
            labels[t] = labels[parents[t]]
    return labels


@njit(nogil=True, cache=True)
def _find_nearest(distances: Any, active: Any, a: int, least: Any, nearest: Any) -> None:
    low, at = _NONE, -1
    for other in range(a + 1, len(distances)):
        if active[other] and distances[a, other] < low:
            low, at = distances[a, other], other
    least[a], nearest[a] = low, at


@njit(nogil=True, cache=True)
def _join(distances: Any, active: Any, a: int, b: int, least: Any, nearest: Any, sizes: Any) -> None:
    height, low = least[a], _NONE
    active[b], least[b] = False, _NONE
    for other in range(len(distances)):
        if not active[other] or other == a:
            continue
        size = sizes[other]
        with_a = size + sizes[a]
        total = with_a * distances[a, other] + (size + sizes[b]) * distances[b, other] - size * height
        apart = max(total / (with_a + sizes[b]), _ZERO)
        distances[a, other] = distances[other, a] = apart
        if other > a:
            low = min(low, apart)
        elif apart <= least[other]:
            least[other], nearest[other] = apart, -1
        if nearest[other] == a or nearest[other] == b:
            nearest[other] = -1
    least[a] = low
    sizes[a] += sizes[b]


@njit(nogil=True, cache=True)
def _means(tokens: Any, weights: Any, labels: Any, out: Any) -> None:
    clusters, dim = out.shape
    lengths = np.zeros(clusters, np.float32)
    counts, only = np.zeros(clusters, np.int64), np.zeros(clusters, np.int64)
    out[:] = 0
    for t in range(len(labels)):
        label, weight = labels[t], weights[t]
        for d in range(dim):
            out[label, d] += tokens[t, d] * weight
        lengths[label] += _ONE / weight if weight > 0 else _ZERO
        only[label] = t
        counts[label] += 1
    for c in range(clusters):
        if counts[c] == 1:
            out[c] = tokens[only[c]]
            continue
        square = _square(out[c])
        scale = lengths[c] / np.float32(counts[c]) / np.sqrt(square) if square > 0 else _ZERO
        for d in range(dim):
            out[c, d] *= scale


@njit(nogil=True, cache=True)
def _square(row: Any) -> Any:
    """The sum of squares, in lanes that are added by halves."""
    lanes = np.zeros(LANES, np.float32)
    for d in range(len(row)):
        lanes[d % LANES] += row[d] * row[d]
    half = LANES // 2
    while half > 0:
        for lane in range(half):
            lanes[lane] += lanes[lane + half]
        half //= 2
    return lanes[0]
