"""Stored vectors: those of a field that an index has codes of are checked as they are read, and not kept in memory.

A query by an index reads the stored vectors of a few candidates. Their column is mapped without being read, and its
chunks are verified when the first of their rows is asked for (`storage.checked`), so that a restart does not read the
column before the first answer, and nothing unverified is ever used. All reading goes through kernels, which is where it
is noticed; the pages that reading leaves in memory are given back now and then.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from vecstore.engine import bitmaps
from vecstore.errors import Corruption
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.graph import OpenGraph, Walk
from vecstore.schema import Metric
from vecstore.storage.format import CHUNK_BYTES
from vecstore.storage.interfaces import CheckedBlob

KEPT_PART = 32  # pages are given back once files take such a part of the column more of this process's memory
KEPT_MIN = 8 << 20  # bytes
SINGLE_ROWS = 65_536  # more allowed rows than this are checked as a whole column


def mapped_bytes() -> int:
    """Resident bytes of mapped files. A row that is read brings a page or megabytes around it, as the system has it, so
    that counting rows says little. 0 where the system does not tell."""
    try:
        statm = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return 0
    try:
        return int(os.read(statm, 128).split()[2]) * mmap.PAGESIZE
    finally:
        os.close(statm)


class CheckedRows:
    """The column `rows` (n, width) over `blob`. Threads may share one object."""

    def __init__(self, blob: CheckedBlob, rows: np.ndarray, on_damage: Callable[[Corruption], Corruption]) -> None:
        """`on_damage` turns the error for a damaged chunk into the one to raise."""
        self.rows = rows
        self._blob = blob
        self._on_damage = on_damage
        self._row_bytes = max(1, rows.nbytes // max(1, len(rows)))
        self._frugal = False
        self._mapped_before = 0

    @property
    def checked(self) -> bool:
        return self._blob.checked

    def check_all(self) -> None:
        self._check(None)

    def check_rows(self, numbers: np.ndarray) -> None:
        """Before these rows are read; -1 is none."""
        if not self._blob.checked:
            first = np.maximum(numbers, 0) * self._row_bytes
            ends = np.concatenate([first, first + (self._row_bytes - 1)]) // CHUNK_BYTES
            self._check(np.unique(ends))
        if self._frugal and mapped_bytes() - self._mapped_before > max(KEPT_MIN, len(self._blob.content) // KEPT_PART):
            self.let_go()

    def _check(self, chunks: np.ndarray | None) -> None:
        try:
            if chunks is None:
                self._blob.check_all()
            else:
                self._blob.check(chunks.tolist())
        except Corruption as error:
            raise self._on_damage(error) from error

    def expect(self, *, few: bool) -> None:
        """Few rows are read at a time, and their pages are not kept; or many, as a scan does."""
        self._frugal = few
        self._blob.expect(few=few)
        if few:
            self.let_go()

    @contextlib.contextmanager
    def reading_all(self) -> Iterator[None]:
        """Around a scan of the whole column."""
        self.check_all()
        if not self._frugal:
            yield
            return
        self._blob.expect(few=False)
        try:
            yield
        finally:
            self._blob.expect(few=True)
            self.let_go()

    def let_go(self) -> None:
        self._blob.let_go()
        self._mapped_before = mapped_bytes()


class _Guard:
    """Kernels that check stored rows before they read them."""

    def __init__(self, kernels: Kernels, checked: CheckedRows) -> None:
        self._kernels = kernels
        self._checked = checked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    def scan(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: np.ndarray,
        inverse_norms: Float32Array | None,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        arguments = (metric, queries, rows, inverse_norms, allowed, out_rows, out_distances)
        self._whole(self._kernels.scan, rows, allowed, arguments)

    def hamming_scan(
        self,
        queries: np.ndarray,
        rows: np.ndarray,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        arguments = (queries, rows, allowed, out_rows, out_distances)
        self._whole(self._kernels.hamming_scan, rows, allowed, arguments)

    def _whole(
        self, kernel: Callable[..., None], rows: np.ndarray, allowed: Bitmap | None, arguments: tuple[Any, ...]
    ) -> None:
        if not np.may_share_memory(rows, self._checked.rows):
            kernel(*arguments)
        elif allowed is not None and bitmaps.count_bits(allowed) <= SINGLE_ROWS:
            self._checked.check_rows(bitmaps.set_bits(allowed))
            kernel(*arguments)
        else:
            with self._checked.reading_all():
                kernel(*arguments)

    def inverse_norms(self, rows: np.ndarray, out: Float32Array) -> None:
        self._whole(self._kernels.inverse_norms, rows, None, (rows, out))

    def rerank(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: np.ndarray,
        inverse_norms: Float32Array | None,
        candidates: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        if np.may_share_memory(rows, self._checked.rows):
            self._checked.check_rows(candidates.ravel())
        self._kernels.rerank(metric, queries, rows, inverse_norms, candidates, out_distances)

    def graph_search(
        self,
        graph: OpenGraph,
        queries: Float32Array,
        walk: Walk,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        if walk.rescored and self._unchecked(graph):  # the same walk, for the rows that it will rescore
            rows, estimates = _places(len(queries), walk.rescored)
            first = Walk(walk.ef, 0, walk.detours)
            self._kernels.graph_search(graph, queries, first, allowed, rows, estimates, out_counters)
            self._checked.check_rows(rows.ravel())
        self._kernels.graph_search(graph, queries, walk, allowed, out_rows, out_distances, out_counters)

    def graph_scan(
        self,
        graph: OpenGraph,
        queries: Float32Array,
        rescored: int,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        if rescored and self._unchecked(graph):
            rows, estimates = _places(len(queries), rescored)
            self._kernels.graph_scan(graph, queries, 0, allowed, rows, estimates, out_counters)
            self._checked.check_rows(rows.ravel())
        self._kernels.graph_scan(graph, queries, rescored, allowed, out_rows, out_distances, out_counters)

    def _unchecked(self, graph: OpenGraph) -> bool:
        return not self._checked.checked and np.may_share_memory(graph.rows, self._checked.rows)


def _places(nq: int, k: int) -> tuple[Int64Array, Float32Array]:
    return np.empty((nq, k), np.int64), np.empty((nq, k), np.float32)


def guarded(kernels: Kernels, checked: CheckedRows) -> Kernels:
    """The same kernels, for an index over `checked.rows`."""
    return cast(Kernels, _Guard(kernels, checked))
