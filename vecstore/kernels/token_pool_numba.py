"""The compiled loops of pooling for the Numba backend: the arithmetic of `token_pool_numpy`, in its order."""

# mypy: ignore-errors
# The bodies are in Numba's language: see numba_loops.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


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
            _means(own[whole:], _labels(_distances(own[whole:]), clusters), room[whole:])


@njit(nogil=True, cache=True)
def _distances(tokens: Any) -> Any:
    n, dim = tokens.shape
    values, lengths = np.empty((n, dim), np.int32), np.empty(n)
    for t in range(n):
        top = np.float32(0)
        for d in range(dim):
            top = max(top, abs(tokens[t, d]))
        inverse = np.float32(127) / top if top > 0 else np.float32(0)
        squares = 0
        for d in range(dim):
            value = np.int32(np.rint(tokens[t, d] * inverse))
            values[t, d] = value
            squares += value * value
        lengths[t] = np.sqrt(np.float64(squares))
    out = np.empty((n, n))
    for a in range(n):
        out[a, a] = np.inf
        for b in range(a):
            product = np.int32(0)
            for d in range(dim):
                product += values[a, d] * values[b, d]
            norms = lengths[a] * lengths[b]
            out[a, b] = out[b, a] = 2.0 - 2.0 * (product / norms if norms > 0 else 0.0)
    return out


@njit(nogil=True, cache=True)
def _labels(distances: Any, clusters: int) -> Any:
    """Labels of tokens, numbered by first token; `distances` are written to."""
    n = len(distances)
    heights, pairs = np.empty(n - 1), np.empty((n - 1, 2), np.int64)
    sizes, active = np.ones(n), np.ones(n, np.bool_)
    path, depth = np.empty(n, np.int64), 0
    for step in range(n - 1):
        if depth == 0:
            path[0], depth = np.argmax(active), 1
        while True:
            at = path[depth - 1]
            nearest = before = path[depth - 2] if depth > 1 else -1
            least = distances[at, before] if before >= 0 else np.inf
            for other in range(n):
                if active[other] and distances[at, other] < least:
                    least, nearest = distances[at, other], other
            if nearest == before:
                break
            path[depth] = nearest
            depth += 1
        a, b = min(path[depth - 1], path[depth - 2]), max(path[depth - 1], path[depth - 2])
        depth -= 2
        height = distances[a, b]
        heights[step], pairs[step, 0], pairs[step, 1] = height, a, b
        active[b] = False
        for other in range(n):
            if active[other] and other != a:
                size = sizes[other]
                total = (size + sizes[a]) * distances[a, other] + (size + sizes[b]) * distances[b, other]
                new = (total - size * height) / (size + sizes[a] + sizes[b])
                distances[a, other] = distances[other, a] = new
        sizes[a] += sizes[b]
    return _cut(np.argsort(heights, kind="mergesort")[: n - clusters], pairs, n)


@njit(nogil=True, cache=True)
def _cut(merges: Any, pairs: Any, n: int) -> Any:
    roots, labels, number = np.arange(n), np.empty(n, np.int64), 0
    for merge in merges:
        a, b = _root(roots, pairs[merge, 0]), _root(roots, pairs[merge, 1])
        roots[max(a, b)] = min(a, b)
    for t in range(n):
        at = _root(roots, t)
        if at == t:
            labels[t] = number
            number += 1
        else:
            labels[t] = labels[at]
    return labels


@njit(nogil=True, cache=True)
def _root(roots: Any, t: int) -> int:
    while roots[t] != t:
        t = roots[t]
    return t


@njit(nogil=True, cache=True)
def _means(tokens: Any, labels: Any, out: Any) -> None:
    clusters, dim = out.shape
    sums, lengths = np.zeros((clusters, dim)), np.zeros(clusters)
    counts, only = np.zeros(clusters, np.int64), np.zeros(clusters, np.int64)
    for t in range(len(labels)):
        squares = 0.0
        for d in range(dim):
            squares += np.float64(tokens[t, d]) * np.float64(tokens[t, d])
        length, label = np.sqrt(squares), labels[t]
        for d in range(dim):
            sums[label, d] += np.float64(tokens[t, d]) / length if length > 0 else 0.0
        lengths[label] += length
        only[label] = t
        counts[label] += 1
    for c in range(clusters):
        if counts[c] == 1:
            out[c] = tokens[only[c]]
            continue
        squares = 0.0
        for d in range(dim):
            squares += sums[c, d] * sums[c, d]
        scale = lengths[c] / counts[c] / np.sqrt(squares) if squares > 0 else 0.0
        for d in range(dim):
            out[c, d] = np.float32(sums[c, d] * scale)
