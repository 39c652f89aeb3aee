"""Carving of rows into overlapping leaves of near rows, for the backends written in Python: leaders are drawn at
random, every row follows its nearest few, and what follows a leader is carved again until it fits a leaf.

Draws derive from the seed and a cluster's path: leaves depend on nothing else, and are those of the native backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Int64Array
from vecstore.kernels.graph import BuildParams

_LEADERS_MAX = 1024
_TOP_SHARE = 100  # rows for each leader of a large cluster
_PER_LEAF = 4  # leaders for each leaf that a small one should become
_WORD = (1 << 64) - 1

Rows = Int64Array  # row numbers, ascending but for leaders
# The `fanout` nearest of the leaders (l,) to each row (m,), by their places: (m, fanout).
Follow = Callable[[Rows, Rows, int], NDArray[np.integer]]


class _Cluster(NamedTuple):
    rows: Rows
    level: int
    seed: int


def mixed(x: int) -> int:
    """splitmix64."""
    x = (x + 0x9E3779B97F4A7C15) & _WORD
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & _WORD
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & _WORD
    return x ^ x >> 31


def carve_rows(n: int, params: BuildParams, follow: Follow) -> list[Rows]:
    leaves: list[Rows] = []
    clusters = [_Cluster(np.arange(n), 0, mixed(params.seed))]
    while clusters:
        cluster = clusters.pop()
        size = len(cluster.rows)
        if size <= params.leaf_rows:
            leaves.append(cluster.rows)
            continue
        count = max(size // _TOP_SHARE, _PER_LEAF * size // params.leaf_rows)
        count = min(max(count, 2), _LEADERS_MAX, size)
        fanout = params.fanout[cluster.level] if cluster.level < len(params.fanout) else 1
        followed = follow(cluster.rows, _draw(cluster, count), min(fanout, count))
        _divide(cluster, _members(cluster, followed, count), params.leaf_rows, clusters, leaves)
    return leaves


def _draw(cluster: _Cluster, count: int) -> Rows:
    """The first of a shuffle."""
    pool = cluster.rows.copy()
    for i in range(count):
        j = i + mixed((cluster.seed + i) & _WORD) % (len(pool) - i)
        pool[i], pool[j] = pool[j], pool[i]
    return pool[:count]


def _members(cluster: _Cluster, followed: NDArray[np.integer], leaders: int) -> list[Rows]:
    """The rows that follow each leader."""
    leader = followed.ravel()
    order = np.argsort(leader, kind="stable")
    ends = np.cumsum(np.bincount(leader, minlength=leaders))
    return np.split(cluster.rows[order // followed.shape[1]], ends[:-1])


def _divide(
    cluster: _Cluster, members: list[Rows], leaf_rows: int, clusters: list[_Cluster], leaves: list[Rows]
) -> None:
    """Put each leader's rows where they belong: too few for a leaf are joined with those of the next leaders."""
    small: list[Rows] = []

    def flush() -> None:
        if sum(map(len, small)) > 0:
            leaves.append(np.unique(np.concatenate(small)))
        small.clear()

    for child, rows in enumerate(members):
        if len(rows) < leaf_rows // 8:
            small.append(rows)
            if sum(map(len, small)) > leaf_rows // 2:
                flush()
        elif len(rows) == len(cluster.rows):  # duplicates: no leader tells them apart
            leaves.extend(rows[begin : begin + leaf_rows] for begin in range(0, len(rows), leaf_rows))
        else:
            clusters.append(_Cluster(rows, cluster.level + 1, mixed(cluster.seed ^ child + 1)))
    flush()
