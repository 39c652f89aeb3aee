"""Stored vectors: those of a field that an index has codes of are checked as they are read, and not kept in memory.

A query by an index reads the stored vectors of a few candidates. Their column is mapped without being read, and its
chunks are verified when the first of their rows is asked for (`storage.checked`), so that a restart does not read the
column before the first answer, and nothing unverified is ever used. All reading goes through kernels, which is where it
is noticed. Columns that may stay in memory (`storage.resident_vectors_bytes`) need nothing else once they are checked.
Of others, a few rows are copied from the file; many are read through the mapping, and the pages that this leaves in
memory are given back now and then.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np

from vecstore.engine import bitmaps
from vecstore.errors import Corruption
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.dense_lists import list_scan
from vecstore.kernels.graph import OpenGraph, Walk
from vecstore.kernels.row_bytes import RowBytes
from vecstore.schema import Metric
from vecstore.storage.format import CHUNK_BYTES
from vecstore.storage.interfaces import CheckedBlob

T = TypeVar("T")

KEPT_PART = 32  # pages are given back once files take such a part of the column more of this process's memory
KEPT_MIN = 8 << 20  # bytes
FEW_SHARE = 16 << 10  # one row for so many bytes of the column: more are read faster through the mapping
COPIED_AT_ONCE = 1 << 20  # bytes
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
        self.row_bytes = max(1, rows.nbytes // max(1, len(rows)))
        self._few = self._free = False
        self._mapped_before = 0

    @property
    def checked(self) -> bool:
        return self._blob.checked

    @property
    def free(self) -> bool:
        """Whether rows may be read without looking after them: they are checked, and may stay in memory."""
        if self._free:
            return True
        if not self._blob.checked or self.frugal:
            return False
        self._free = self._few  # may stay, from now on; else few may be read at a time one day
        return True

    @property
    def frugal(self) -> bool:
        """Whether reading must not make the process larger for long."""
        return self._few and not self._blob.stay()

    def check_all(self) -> None:
        self._check(None)

    def check_rows(self, numbers: np.ndarray) -> None:
        """Before these rows are read through the mapping; -1 is none."""
        self._check_chunks(numbers)
        if self.frugal and mapped_bytes() - self._mapped_before > max(KEPT_MIN, len(self._blob.content) // KEPT_PART):
            self.let_go()

    def better_copied(self, numbers: np.ndarray) -> bool:
        """Whether so few rows are better copied from the file than read through the mapping."""
        return numbers.size <= self.rows.nbytes // FEW_SHARE and self.frugal

    def copy(self, numbers: Int64Array) -> tuple[np.ndarray, int]:
        """These rows, (n, width), where -1 gives any row, and how many are not -1."""
        self._check_chunks(numbers)
        copied = np.empty((len(numbers), self.rows.shape[1]), self.rows.dtype)
        return copied, self._blob.read_rows(numbers, copied)

    def _check_chunks(self, numbers: np.ndarray) -> None:
        if not self._blob.checked:
            first = np.maximum(numbers, 0) * self.row_bytes
            ends = np.concatenate([first, first + (self.row_bytes - 1)]) // CHUNK_BYTES
            self._check(np.unique(ends))

    def _check(self, chunks: np.ndarray | None) -> None:
        try:
            if chunks is None:
                self._blob.check_all()
            else:
                self._blob.check(chunks.tolist())
        except Corruption as error:
            raise self._on_damage(error) from error

    def expect(self, *, few: bool) -> None:
        """Few rows are read at a time, or many, as a scan does."""
        self._few = few
        self._blob.expect(few=few)
        if self.frugal:
            self.let_go()

    @contextlib.contextmanager
    def reading_all(self) -> Iterator[None]:
        """Around a scan of the whole column."""
        self.check_all()
        if not self.frugal:
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
        self._reads_whole = getattr(kernels, "reads_whole", False)  # a device takes the whole column

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    @property
    def frugal(self) -> bool:
        """Whether rows are read from files (`index.costs`)."""
        return self._checked.frugal

    def scan(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: np.ndarray,
        inverse_norms: Float32Array | None,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        row_bytes: RowBytes | None = None,
    ) -> None:
        arguments = (metric, queries, rows, inverse_norms, allowed, out_rows, out_distances, row_bytes)
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
        self, kernel: Callable[..., T], rows: np.ndarray, allowed: Bitmap | None, arguments: tuple[Any, ...]
    ) -> T:
        if not np.may_share_memory(rows, self._checked.rows):
            return kernel(*arguments)
        if allowed is not None and not self._reads_whole and bitmaps.count_bits(allowed) <= SINGLE_ROWS:
            self._checked.check_rows(bitmaps.set_bits(allowed))
            return kernel(*arguments)
        with self._checked.reading_all():
            return kernel(*arguments)

    def round_rows(self, metric: Metric, rows: np.ndarray, inverse_norms: Float32Array | None) -> RowBytes | None:
        return self._whole(self._kernels.round_rows, rows, None, (metric, rows, inverse_norms))

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
        checked = self._checked
        if rows is checked.rows and checked.better_copied(candidates):
            step = max(1, COPIED_AT_ONCE // max(1, checked.row_bytes * candidates.shape[1]))
            for low in range(0, len(queries), step):
                part = slice(low, low + step)
                self._rerank_copied(metric, queries[part], inverse_norms, candidates[part], out_distances[part])
            return
        if rows is checked.rows or np.may_share_memory(rows, checked.rows):
            checked.check_rows(candidates.ravel())
        self._kernels.rerank(metric, queries, rows, inverse_norms, candidates, out_distances)

    def _rerank_copied(
        self,
        metric: Metric,
        queries: Float32Array,
        inverse_norms: Float32Array | None,
        candidates: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        listed = candidates.ravel()
        rows, found = self._checked.copy(listed)
        norms = None if inverse_norms is None else inverse_norms[listed]
        places = np.arange(candidates.size).reshape(candidates.shape)
        if found < candidates.size:
            places = np.where(candidates < 0, -1, places)
        self._kernels.rerank(metric, queries, rows, norms, places, out_distances)

    def dense_list_scan(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: np.ndarray,
        inverse_norms: Float32Array | None,
        list_rows: np.ndarray,
        offsets: Int64Array,
        probes: np.ndarray,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_scanned: Int64Array,
    ) -> None:
        """By candidates where they have to be checked or copied first."""
        lists, outputs = (list_rows, offsets, probes), (out_rows, out_distances, out_scanned)
        arguments = (metric, queries, rows, inverse_norms, *lists, allowed, *outputs)
        checked = self._checked
        if np.may_share_memory(rows, checked.rows) and (checked.frugal or not checked.checked):
            list_scan(self.rerank, *arguments)
        else:
            self._kernels.dense_list_scan(*arguments)

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
            first = replace(walk, rescored=0)
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
