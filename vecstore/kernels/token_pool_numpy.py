"""Pooling of tokens in numpy: the sums and the order of merges of the other backends, whose bits are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.kernels.tokens_numpy import exact_products

LANES = 16  # chains of a token's sums
DIRECTION = np.float32(1e-35)  # the largest component of a token that has a direction


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
    parents = list(range(len(tokens)))
    for _, first, second in ward_merges(_distances(tokens), len(tokens) - clusters):
        parents[second] = first
    labels: list[int] = []
    for t, parent in enumerate(parents):
        labels.append(labels[parent] if parent < t else len(set(labels)))
    return np.array(labels, np.int64)


def _distances(tokens: Float32Array) -> Float32Array:
    """1 - cosine, which is half a squared distance of directions, at least 0; from tokens rounded to bytes."""
    values = np.rint(_scaled(tokens)[0]).astype(np.int32)
    products = exact_products(values, values).astype(np.float32)
    squares = np.diagonal(products)
    inverses = np.divide(np.float32(1), np.sqrt(squares), out=np.zeros_like(squares), where=squares > 0)
    distances: Float32Array = np.maximum(np.float32(1) - products * (inverses[:, None] * inverses), 0)
    return distances


def ward_merges(distances: NDArray[Any], times: int) -> list[tuple[float, int, int]]:
    """Heights and clusters of the first `times` merges: of the two nearest, of equal ones the first. A cluster is named
    by its first token; Lance and Williams' update is for squared distances (n, n)."""
    n, distances = len(distances), distances.copy()
    np.fill_diagonal(distances, np.inf)
    sizes = np.ones(n, distances.dtype)
    found: list[tuple[float, int, int]] = []
    for _ in range(times):
        a, b = divmod(int(distances.argmin()), n)
        height = distances[a, b]
        found.append((float(height), a, b))
        with_a = sizes + sizes[a]
        sums = with_a * distances[a] + (sizes + sizes[b]) * distances[b] - sizes * height
        distances[a] = distances[:, a] = np.maximum(sums / (with_a + sizes[b]), 0)
        distances[b] = distances[:, b] = np.inf
        sizes[a] += sizes[b]
    return found


def means(tokens: Float32Array, labels: Int64Array, clusters: int) -> Float32Array:
    """The direction of the mean of each cluster's directions, at the mean of their lengths; summed in order."""
    scaled, inverses = _scaled(tokens)
    norms = np.sqrt(_squares(scaled))
    weights = np.divide(inverses, norms, out=np.zeros_like(norms), where=norms > 0)
    lengths = np.divide(np.float32(1), weights, out=np.zeros_like(weights), where=weights > 0)
    out = np.empty((clusters, tokens.shape[1]), np.float32)
    for cluster in range(clusters):
        members = np.flatnonzero(labels == cluster)
        if len(members) == 1:
            out[cluster] = tokens[members[0]]
            continue
        total = _in_order(tokens[members] * weights[members, None])
        length = _in_order(lengths[members]) / np.float32(len(members))
        norm = np.sqrt(_squares(total[None]))[0]
        out[cluster] = total * (length / norm if norm > 0 else np.float32(0))
    return out


def _scaled(tokens: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Tokens (n, dim) whose largest component is 127, and by what they were multiplied (n,)."""
    top = np.abs(tokens).max(axis=1, initial=0)
    inverses = np.divide(np.float32(127), top, out=np.zeros_like(top), where=top >= DIRECTION)
    return tokens * inverses[:, None], inverses


def _squares(rows: Float32Array) -> Float32Array:
    """Sums of squares (n,) of rows (n, dim), lane l of dimensions l, l + 16, ...; lanes added by halves."""
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % LANES))).reshape(len(rows), -1, LANES)
    lanes: Float32Array = _in_order(np.swapaxes(padded * padded, 0, 1))
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes[:, 0]


def _in_order(terms: Float32Array) -> Any:
    """Sums along the first axis, one term after another."""
    return np.cumsum(terms, axis=0, dtype=np.float32)[-1]
