"""The k nearest of many distances for each query of a batch, taken in chunk by chunk.

Scores are never sorted. The k-th of what has been seen bounds what can still be among the answers; of a chunk only what
is within the bound joins the candidates, which after the first is a few in a thousand. Nothing waits for the device: a
query has room for a whole chunk beside the candidates that may be left, so that only those of too many equally near
rows can be lost, and the host answers those queries. Source: specs, gpu section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.shortlist import NO_BOUND, Shortlist, Terms

MOST = 4096  # answers of a query; more are the host's
LEFT = 4096  # candidates that may be left when the bound has followed, at least
GROWTH = 16  # of the first chunks
DOUBLED = 1 << 16  # rows of a chunk, up to which there is room for two: the bound follows half as often
EAGER = 3  # chunks after each of which it follows


class Nearest:
    def __init__(self, device: Device, nq: int, k: int, chunk: int, slack: bool, lost: Any | None = None) -> None:
        """Chunks of at most `chunk` rows; with a slack in their terms or without; the queries lost already."""
        xp = device.xp
        self._device = device
        self._left = max(LEFT, 4 * k)
        chunk = max(chunk, self._left)
        self._room = self._left + (2 * chunk if chunk <= DOUBLED else chunk)
        self._arrived = self._chunks = 0
        lost = xp.zeros(nq, np.uint8) if lost is None else lost
        distances = xp.empty((nq, self._room), np.float32) if slack else None
        bounds = xp.full(nq, NO_BOUND, np.uint64)
        keys = xp.empty((nq, self._room), np.uint64)
        self.short = Shortlist(k, keys, distances, xp.zeros(nq, np.uint32), bounds, lost)

    def chunks(self, n: int, step: int) -> Iterator[slice]:
        """Parts of n rows; the first are so small that a bound is soon known, and what it lets through is few."""
        low, own = 0, min(step, self._left)
        while low < n:
            yield slice(low, min(n, low + own))
            low, own = low + own, min(step, GROWTH * own)

    def take(self, products: Any, terms: Terms) -> None:
        self._device.take(self.short, products, terms)
        self._chunks += 1
        self._arrived += int(products.shape[1])
        if self._chunks <= EAGER or self._left + self._arrived + int(products.shape[1]) > self._room:
            self._device.tighten(self.short, self.short.k if self._chunks <= EAGER else self._left)
            self._arrived = 0

    def close(self) -> Shortlist:
        """Of each query what may be among its k nearest; exactly those where there is no slack."""
        self._device.tighten(self.short, self.short.k)
        return self.short

    def answer(self, places: int) -> Any:
        """The nearest candidates by key, settled or exact, as `Device.order` gives them."""
        short = self.short
        if short.k != places:  # order() compares all with all: leave it few
            short.k = places
            short.bounds.fill(NO_BOUND)
        self._device.tighten(short, places)
        return self._device.order(short, places)


def write_answers(found: NDArray[np.uint8], out_rows: Int64Array, out_distances: Float32Array) -> Int64Array:
    """What `Device.order` found for at least these queries, to its places; the queries whose candidates were lost."""
    nq, places = out_rows.shape
    held = len(found) // (12 * places + 1)
    rows, distances, lost = np.split(found, (8 * held * places, 12 * held * places))
    out_rows[:] = rows.view(np.int64).reshape(held, places)[:nq]
    out_distances[:] = distances.view(np.float32).reshape(held, places)[:nq]
    return np.flatnonzero(lost[:nq])


def chunk_rows(device: Device, nq: int) -> int:
    """How many rows' scores for nq queries stay in the device's cache."""
    return min(1 << 23, max(1024, device.score_bytes // (4 * max(1, nq))) // 32 * 32)


def padded(queries: NDArray[Any]) -> NDArray[Any]:
    """Queries (m, ...), the last repeated up to one of few sizes, so that recorded work fits many batches."""
    nq = len(queries)
    step = 64 if nq > 128 else 16 if nq > 16 else 1 << (nq - 1).bit_length()
    short = -nq % step
    return np.concatenate((queries, np.repeat(queries[-1:], short, axis=0))) if short else queries
