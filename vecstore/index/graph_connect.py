"""No row of a graph may be out of reach of every walk."""

from __future__ import annotations

import numpy as np

from vecstore.kernels.base import Int64Array
from vecstore.kernels.graph import UInt32Array

ROUNDS = 8
SPARED = 2  # in so many places at a list's front nothing is replaced


def reached(lists: UInt32Array, entries: UInt32Array) -> np.ndarray:
    """Whether walks from the entries can come to each row (n,)."""
    seen = np.zeros(len(lists), bool)
    seen[entries] = True
    front = np.flatnonzero(seen)
    while len(front):
        around = np.zeros(len(lists), bool)
        around[lists[front].ravel()] = True
        front = np.flatnonzero(around & ~seen)
        seen[front] = True
    return seen


def connect(lists: UInt32Array, entries: UInt32Array) -> UInt32Array:
    """Gives rows that are out of reach an edge from a near row that is not, in place of its last; returns the entries,
    with those added that no edge could be found for."""
    given = np.zeros(len(lists), np.int64)  # edges that each row gave away, from its last
    for _ in range(ROUNDS):
        lost = np.flatnonzero(~reached(lists, entries))
        if not len(lost):
            return entries
        _mend(lists, lost, given)
    lost = np.flatnonzero(~reached(lists, entries))
    return np.unique(np.concatenate([entries, lost.astype(np.uint32)]))


def _mend(lists: UInt32Array, lost: Int64Array, given: Int64Array) -> None:
    out_of_reach = np.zeros(len(lists), bool)
    out_of_reach[lost] = True
    for row in lost.tolist():
        for host in lists[row].tolist():  # nearest first
            if not out_of_reach[host] and given[host] < lists.shape[1] - SPARED:
                given[host] += 1
                lists[host, lists.shape[1] - given[host]] = row
                out_of_reach[row] = False
                break
