"""The compiled loops of the Numba backend's graph builder, over pairs of rows.

Candidates are the law's numbers (graph_build_numpy) as int64, in arrays that ascend and are filled up with the largest.
"""

# mypy: ignore-errors
# The bodies are in Numba's language: see numba_loops.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from vecstore.kernels.graph_build_numpy import NO_KEY
from vecstore.kernels.graph_pool_numba import insert

_NO_KEY = np.int64(NO_KEY)
_LOW = 0xFFFFFFFF


@njit(nogil=True, cache=True)
def _product(a: Any, b: Any) -> Any:
    total = np.int32(0)
    for d in range(len(a)):
        total = np.int32(total + np.int32(a[d]) * np.int32(b[d]))
    return np.float32(total)


@njit(nogil=True, cache=True)
def _distance(arrays: Any, a: int, b: int) -> Any:
    values, scales, squares = arrays
    scaled = (scales[a] * scales[b]) * _product(values[a], values[b])
    distance = (squares[a] + squares[b]) - np.float32(2) * scaled
    return distance if distance > 0 else np.float32(0)


@njit(nogil=True, cache=True)
def _key(distance: float, row: int) -> Any:
    return np.int64(np.float32(distance).view(np.int32)) << 32 | row


@njit(nogil=True, cache=True)
def _distance_of(key: int) -> Any:
    return np.int32(key >> 32).view(np.float32)


@njit(nogil=True, cache=True)
def _add(keys: Any, key: int) -> None:
    """Into keys filled up with the largest, unless it is there."""
    if key >= keys[-1]:
        return
    place = np.searchsorted(keys, key)
    if keys[place] != key:
        for i in range(len(keys) - 1, place, -1):
            keys[i] = keys[i - 1]
        keys[place] = key


@njit(nogil=True, cache=True)
def follow_rows(arrays: Any, rows: Any, leaders: Any, followed: Any) -> None:
    keys = np.empty(followed.shape[1], np.int64)
    for i in range(len(rows)):
        keys[:] = _NO_KEY
        for place in range(len(leaders)):
            _add(keys, _key(_distance(arrays, rows[i], leaders[place]), place))
        for f in range(len(keys)):
            followed[i, f] = keys[f] & _LOW


@njit(nogil=True, cache=True)
def nearest_in_leaf(arrays: Any, leaf: Any, nearest: int) -> Any:
    """The nearest others of each row (m, nearest), above their places in the leaf, which ascend as rows do."""
    keys = np.full((len(leaf), nearest), _NO_KEY)
    for i in range(len(leaf)):
        for j in range(i):
            distance = _distance(arrays, leaf[i], leaf[j])
            _add(keys[i], _key(distance, j))
            _add(keys[j], _key(distance, i))
    return keys


@njit(nogil=True, cache=True)
def keep_edges(leaf: Any, found: Any, reservoirs: Any) -> None:
    """Both rows of each found pair keep the other, if it is among the nearest of all that was ever found."""
    for i in range(len(leaf)):
        for key in found[i]:
            other = leaf[key & _LOW]
            _add(reservoirs[leaf[i]], key & ~_LOW | other)
            _add(reservoirs[other], key & ~_LOW | leaf[i])


@njit(nogil=True, cache=True)
def keep_known(arrays: Any, rows: Any, neighbours: Any, reservoirs: Any) -> None:
    for i in range(len(rows)):
        row = np.int64(rows[i])
        for j in range(neighbours.shape[1]):
            other = np.int64(neighbours[i, j])
            if other != row:
                _add(reservoirs[row], _key(_distance(arrays, row, other), other))


@njit(nogil=True, cache=True)
def _select(arrays: Any, alpha: float, keys: Any, count: int, chosen: Any) -> Any:
    """Of the first keys, into `chosen` those that no chosen one is much nearer to than the row is; behind them others,
    by how many chosen ones are, then in order. Returns how many are chosen and how many stand there in all."""
    degree, kept = len(chosen), 0
    occluders = np.zeros(count, np.int64)  # -1 where chosen
    for place in range(count):
        if occluders[place] != 0 or kept == degree:
            continue
        row = keys[place] & _LOW
        occluders[place] = -1
        chosen[kept] = row
        kept += 1
        for other in range(place + 1, count):
            between = _distance(arrays, row, keys[other] & _LOW)
            occluders[other] += alpha * between <= _distance_of(keys[other])
    others, size = np.empty(degree - kept, np.int64), 0
    if len(others) > 0:
        for place in range(count):
            if occluders[place] >= 0:
                insert(others, size, occluders[place] << 32 | place)
                size = min(size + 1, len(others))
    for i in range(size):
        chosen[kept + i] = keys[others[i] & _LOW] & _LOW
    return kept, kept + size


@njit(nogil=True, cache=True)
def _held(keys: Any) -> Any:
    return np.searchsorted(keys, _NO_KEY)


@njit(nogil=True, cache=True)
def prune_rows(arrays: Any, alpha: float, begin: int, reservoirs: Any, neighbours: Any, degrees: Any) -> None:
    """The first row is `begin`."""
    chosen = np.empty(neighbours.shape[1], np.int64)
    for i in range(len(neighbours)):
        kept, _ = _select(arrays, alpha, reservoirs[i], _held(reservoirs[i]), chosen)
        neighbours[i] = begin + i
        neighbours[i, :kept] = chosen[:kept]
        degrees[i] = kept


@njit(nogil=True, cache=True)
def finish_rows(
    arrays: Any, alpha: float, begin: int, end: int, sources: Any, ends: Any, reservoirs: Any, neighbours: Any
) -> None:
    """`sources` are the rows that chose each row, up to its end."""
    chosen, keys = np.empty(neighbours.shape[1], np.int64), np.empty(2 * reservoirs.shape[1], np.int64)
    for row in range(begin, end):
        keys[:] = _NO_KEY
        for i in range(ends[row - 1] if row > 0 else 0, ends[row]):
            _add(keys, _key(_distance(arrays, row, sources[i]), sources[i]))
        for key in reservoirs[row]:
            _add(keys, key)
        _, count = _select(arrays, alpha, keys, _held(keys), chosen)
        neighbours[row] = row
        neighbours[row, :count] = chosen[:count]
