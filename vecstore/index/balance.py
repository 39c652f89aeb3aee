"""Lists of more equal length: the smallest lists give their centroids to the halves of the largest ones.

A scan costs in proportion to sum n_i^2, and the rows of an overlong list are poorly told apart. Every row still stands
in the list of its nearest centroid, so nothing has to be remembered for later rows. Related: SPANN's splits until a
list fits (2111.08566), as relocation with a fixed number of lists; see specs, ivf section 1.2.
"""

from __future__ import annotations

import numpy as np

from vecstore.index.base import Progress
from vecstore.index.kmeans import Members, kmeans
from vecstore.kernels.base import Float32Array, Kernels
from vecstore.schema import Metric

ROUNDS = 4
LONG = 1.8  # times the mean length: such a list is halved
SHORT = 0.6  # times the mean length: such a list may be given up
HALVING_ITERATIONS = 4


def balanced(
    metric: Metric, sample: Float32Array, centroids: Float32Array, kernels: Kernels, progress: Progress
) -> Float32Array:
    """Centroids (nlist, dim) with fewer long and short lists, each round followed by a step of k-means."""
    centroids, all_rows = centroids.copy(), Members(metric, sample, kernels)
    lists = all_rows.homes(centroids)
    for number in range(ROUNDS):
        progress("balance lists", number, ROUNDS)
        counts = np.bincount(lists, minlength=len(centroids))
        mean = len(sample) / len(centroids)
        long = np.flatnonzero(counts > np.maximum(LONG * mean, 3))
        long = long[np.argsort(-counts[long], kind="stable")]
        short = np.argsort(counts, kind="stable")[: len(long)]
        short = short[counts[short] < SHORT * mean]
        order = np.argsort(lists, kind="stable")
        ends = np.cumsum(counts)
        for split, given_up in zip(long[: len(short)], short, strict=True):
            members = sample[order[ends[split] - counts[split] : ends[split]]]
            centroids[[split, given_up]] = halves(metric, members, kernels)
        centroids = all_rows.means(all_rows.homes(centroids), len(centroids))
        lists = all_rows.homes(centroids)
    progress("balance lists", ROUNDS, ROUNDS)
    return centroids


def halves(metric: Metric, members: Float32Array, kernels: Kernels) -> Float32Array:
    """Two centroids (2, dim) for the rows of one list."""
    return kmeans(metric, members, 2, kernels, lambda *_: None, iterations=HALVING_ITERATIONS)
