"""Lists for the peers that take them from outside: one k-means (faiss) for each number of lists, shared in a run."""

from __future__ import annotations

import os

import numpy as np

ITERATIONS = 15
_made: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}


def centroids(rows: np.ndarray, nlist: int) -> tuple[np.ndarray, np.ndarray]:
    """Centroids (nlist, dim) and the list of each row (n,)."""
    import faiss

    key = (id(rows), nlist)
    if key not in _made:
        faiss.omp_set_num_threads(os.cpu_count() or 1)
        means = faiss.Kmeans(rows.shape[1], nlist, niter=ITERATIONS, seed=1)
        means.train(rows)
        _made[key] = means.centroids.copy(), means.index.search(rows, 1)[1][:, 0]
    return _made[key]
