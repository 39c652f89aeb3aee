"""Maximal marginal relevance: of candidates near a query, those that are also unlike each other."""

from __future__ import annotations

import numpy as np

from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.schema import Metric


def mmr(relevance: Float32Array, vectors: Float32Array, metric: Metric, diversity: float, k: int) -> Int64Array:
    """Places of k candidates, each the one of the largest (1 - diversity) * relevance - diversity * (similarity to the
    most similar chosen one) (Carbonell & Goldstein 1998); ties to the first.

    `relevance` (n,) is the similarity to the query, best first, `vectors` (n, dim) the candidates'. Similarity is the
    cosine, the inner product, or minus the Euclidean distance, as `metric` says."""
    if metric is Metric.COSINE:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    closest = np.full(len(vectors), -np.inf)
    open_places = np.ones(len(vectors), bool)
    chosen: list[int] = []
    for _ in range(min(k, len(vectors))):
        redundant = closest if chosen else np.zeros(len(vectors))
        value = (1 - diversity) * relevance - diversity * redundant
        value[~open_places] = -np.inf
        place = int(np.argmax(value))
        chosen.append(place)
        open_places[place] = False
        closest = np.maximum(closest, _similarity(vectors, vectors[place], metric))
    return np.array(chosen, np.int64)


def _similarity(vectors: Float32Array, one: Float32Array, metric: Metric) -> np.ndarray:
    if metric is Metric.L2:
        return -np.asarray(np.linalg.norm(vectors - one, axis=1))
    return np.asarray(vectors @ one)
