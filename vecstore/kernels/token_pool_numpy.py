"""Pooling of tokens in numpy: the sums and the order of merges that the native code has."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.kernels.tokens_numpy import exact_products, rounded

Float64Array = NDArray[np.float64]


def pool_tokens(
    tokens: Float32Array, offsets: Int64Array, kept: int, out_offsets: Int64Array, out: Float32Array
) -> None:
    for row in range(len(offsets) - 1):
        own = tokens[offsets[row] : offsets[row + 1]]
        room = out[out_offsets[row] : out_offsets[row + 1]]
        whole = min(kept, len(own))
        room[:whole] = own[:whole]
        rest, clusters = own[whole:], len(room) - whole
        room[whole:] = rest if clusters == len(rest) else means(rest, ward_labels(rest, clusters), clusters)


def ward_labels(tokens: Float32Array, clusters: int) -> Int64Array:
    """Labels 0..clusters-1 of tokens (n, dim), numbered by first token."""
    merges = sorted(_merges(_distances(tokens)), key=lambda merge: merge[0])  # stable
    roots = list(range(len(tokens)))

    def root(t: int) -> int:
        while roots[t] != t:
            t = roots[t]
        return t

    for _, first, second in merges[: len(tokens) - clusters]:
        low, high = sorted((root(first), root(second)))
        roots[high] = low
    firsts = {t: number for number, t in enumerate(t for t in range(len(tokens)) if roots[t] == t)}
    return np.array([firsts[root(t)] for t in range(len(tokens))], np.int64)


def _distances(tokens: Float32Array) -> Float64Array:
    """Squared distances of directions, from tokens rounded to bytes."""
    values, _ = rounded(tokens)
    norms = np.sqrt((values.astype(np.int64) ** 2).sum(axis=1).astype(np.float64))
    products, lengths = exact_products(values, values), norms[:, None] * norms
    cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    squares: Float64Array = 2.0 - 2.0 * cosines
    return squares


def _merges(distances: Float64Array) -> list[tuple[float, int, int]]:
    """Height and clusters of all merges, by chains of nearest neighbours; a cluster is named by its first token."""
    n = len(distances)
    distances = distances.copy()
    np.fill_diagonal(distances, np.inf)
    sizes, active = np.ones(n), np.ones(n, bool)
    path: list[int] = []
    found: list[tuple[float, int, int]] = []
    for _ in range(n - 1):
        if not path:
            path.append(int(active.argmax()))
        while True:
            at, before = path[-1], path[-2] if len(path) > 1 else -1
            row = np.where(active, distances[at], np.inf)
            nearest = int(row.argmin())
            if before >= 0 and row[before] <= row[nearest]:
                break
            path.append(nearest)
        a, b = sorted(path[-2:])
        del path[-2:]
        height = float(distances[a, b])
        found.append((height, a, b))
        active[b] = False
        sums = (sizes + sizes[a]) * distances[a] + (sizes + sizes[b]) * distances[b] - sizes * height
        with np.errstate(invalid="ignore"):
            updated = sums / (sizes + sizes[a] + sizes[b])
        others = active.copy()
        others[a] = False
        distances[a, others] = distances[others, a] = updated[others]
        sizes[a] += sizes[b]
    return found


def means(tokens: Float32Array, labels: Int64Array, clusters: int) -> Float32Array:
    """The direction of the mean of each cluster's directions, at the mean of their lengths; summed in order."""
    wide = tokens.astype(np.float64)
    lengths = np.sqrt(_in_order(wide * wide))
    unit = np.divide(wide, lengths[:, None], out=np.zeros_like(wide), where=lengths[:, None] > 0)
    out = np.empty((clusters, tokens.shape[1]), np.float32)
    for cluster in range(clusters):
        members = np.flatnonzero(labels == cluster)
        if len(members) == 1:
            out[cluster] = tokens[members[0]]
            continue
        total: Any = np.cumsum(unit[members], axis=0)[-1]
        mean = np.cumsum(lengths[members])[-1] / len(members)
        squares = _in_order((total * total)[None])[0]
        out[cluster] = total * (mean / np.sqrt(squares) if squares > 0 else 0.0)
    return out


def _in_order(terms: Float64Array) -> Float64Array:
    """Sums along the last axis, one term after another."""
    sums: Float64Array = np.cumsum(terms, axis=1)[:, -1]
    return sums
