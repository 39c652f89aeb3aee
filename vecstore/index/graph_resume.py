"""Where a graph's build stands, as a checkpoint, and how it goes on from there.

All that joining leaves has found is each row's nearest rows: their numbers say it, since pairs are exact integers and
scoring them again gives the same bits. With the lists that are pruned already, that is the whole state.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import xxhash

from vecstore.index.base import Progress
from vecstore.index.checkpoints import Column, current
from vecstore.kernels.graph import BuildParams, ByteRows, GraphBuilder, UInt32Array

VERSION = 1  # of what a builder makes of the same rows and parameters
JOIN, PRUNE, LISTS = "join", "prune", "lists"  # of what is left to do: all; done rows are pruned; nothing
_ROWS = 8192
log = logging.getLogger("vecstore.index")
Edges = tuple[UInt32Array, UInt32Array]


class Resumable:
    def __init__(
        self, builder: GraphBuilder, rows: ByteRows, params: BuildParams, edges: Edges | None, lists: UInt32Array
    ) -> None:
        self._builder, self._lists, self._reservoir = builder, lists, params.reservoir
        self._checkpoints = current()
        self._key = "" if self._checkpoints.folder is None else identity(rows, params, edges, lists.shape[1])

    def restored(self, progress: Progress) -> tuple[str, int]:
        """The phase that is next, and how much of it is done."""
        saved = self._checkpoints.load(self._key)
        if saved is None:
            return JOIN, 0
        n, done = len(self._lists), saved.done
        if "lists" in saved.arrays:
            self._lists[:done] = saved.arrays["lists"]
        if saved.phase != LISTS:
            for low in range(0, n, _ROWS):
                progress("resume", low, n)
                numbers = np.arange(low, min(n, low + _ROWS), dtype=np.uint32)
                self._builder.seed(numbers, saved.arrays["held"][low : low + _ROWS])
        if saved.phase == PRUNE:
            self._builder.pruned(0, done)
        log.info("a graph of %d rows goes on at %s, of which %d are done", n, saved.phase, done)
        return saved.phase, done

    def passed(self, phase: str, done: int) -> None:
        """So much is done; kept if it is time."""
        if not self._checkpoints.due:
            return
        n, degree = self._lists.shape
        columns = {}
        if phase != JOIN:
            parts = (self._lists[low : min(done, low + _ROWS)] for low in range(0, done, _ROWS))
            columns["lists"] = Column(np.uint32, (done, degree), parts)
        if phase != LISTS:
            columns["held"] = Column(np.uint32, (n, self._reservoir), self._held())
        self._checkpoints.save(self._key, phase, done, columns)

    def _held(self) -> Iterator[np.ndarray]:
        n = len(self._lists)
        for low in range(0, n, _ROWS):
            out = np.empty((min(n, low + _ROWS) - low, self._reservoir), np.uint32)
            self._builder.held(low, low + len(out), out)
            yield out


def identity(rows: ByteRows, params: BuildParams, edges: Edges | None, degree: int) -> str:
    """Of all that a graph follows from."""
    found = xxhash.xxh3_128(f"graph {VERSION} {rows.bytes.shape} {params} {degree}".encode())
    for array in (rows.bytes, rows.scales, *(edges or ())):
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()
