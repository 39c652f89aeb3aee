"""Packed bits in lists around majority centroids; a query scans the lists of its nearest centroids.

`nprobe` comes from a table of recall measured at build time: rows of the index as queries, against an exact scan.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.index.base import (
    DEFAULT_PARAMS,
    BuiltIndex,
    Candidates,
    Progress,
    SearchParams,
    Warm,
    allowed_count,
    some_alive,
)
from vecstore.index.effort_table import QUERIES, EffortTable, calibrated, open_table, uncalibrated
from vecstore.index.familiar import measured
from vecstore.index.familiar_limits import Caution, familiar_arrays, open_familiar
from vecstore.index.flat import check_rows, scan_radius
from vecstore.index.majority import nearest_centroids, train_centroids
from vecstore.index.stored_arrays import take
from vecstore.index_spec import HammingIVF
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels, UInt8Array
from vecstore.kernels.smallest import smallest
from vecstore.schema import Metric, VectorField

_NAME = "a hamming_ivf index"
DEFAULT_RECALL = 0.95  # what nprobe="auto" asks of the table
SEED = 0
_GROWTH_MAX = 2  # lists wanted over lists learned before, up to which a merge trains nothing
_ROWS_PER_LIST = 32  # at least, where nlist is chosen here


@dataclass(frozen=True, slots=True)
class _Lists:
    """Rows in list order: list i has places offsets[i] to offsets[i + 1]."""

    centroids: UInt8Array  # (nlist, nbytes)
    offsets: Int64Array  # (nlist + 1,)
    rows: NDArray[np.uint32]  # (n,) ascending within a list
    codes: UInt8Array  # (n, nbytes)

    def scan(
        self, kernels: Kernels, queries: UInt8Array, k: int, nprobe: int, allowed: Bitmap | None, had: int = 0
    ) -> tuple[Candidates, int]:
        """The k nearest rows of each query's nprobe nearest lists without the nearest `had`, and how many rows were
        compared."""
        nearest = np.empty((len(queries), nprobe), np.int64)
        kernels.hamming_scan(queries, self.centroids, None, nearest, np.empty(nearest.shape, np.float32))
        found = Candidates(np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32))
        scanned = np.zeros(len(queries), np.int64)
        kernels.hamming_list_scan(
            queries, self.codes, self.rows, self.offsets, nearest[:, had:].astype(np.int32), allowed,
            found.rows, found.distances, scanned,
        )  # fmt: skip
        return found, int(scanned.sum())


class HammingIvfIndex(BuiltIndex):
    name: ClassVar[str] = "hamming_ivf"
    reads_by_kernels: ClassVar[bool] = True

    def __init__(self, spec: HammingIVF, rows: UInt8Array, lists: _Lists, table: EffortTable) -> None:
        """`rows` is uint8 (n, dim / 8)."""
        self.ntotal = len(rows)
        self.code_bytes = float(rows.shape[1])
        self._spec = spec
        self._rows = rows
        self._lists = lists
        self._table = table
        self._asked: UInt8Array | None = None  # the user's queries that the table was measured on

    @classmethod
    def build(
        cls,
        field: VectorField,
        spec: Any,
        rows: NDArray[Any],
        inverse_norms: Float32Array | None,
        kernels: Kernels,
        progress: Progress,
        warm: Warm[Self] | None = None,
    ) -> Self:
        check_rows(field, rows)
        nlist = list_count(spec, len(rows))
        if warm is not None and len(rows) and nlist <= _GROWTH_MAX * len(warm.index._lists.centroids):
            centroids = warm.index._lists.centroids
        else:
            centroids = train_centroids(kernels, rows, nlist, progress)
        assigned = nearest_centroids(kernels, rows, centroids, progress)
        order = np.argsort(assigned, kind="stable")
        offsets = np.zeros(len(centroids) + 1, np.int64)
        np.cumsum(np.bincount(assigned, minlength=len(centroids)), out=offsets[1:])
        lists = _Lists(centroids, offsets, order.astype(np.uint32), rows[order])
        index = cls(spec, rows, lists, uncalibrated(len(centroids), len(rows)))
        progress("calibrate", 0, 1)
        index._asked = None if warm is None else warm.index._asked
        index._calibrate(kernels, None)
        progress("calibrate", 1, 1)
        return index

    @property
    def measured_rows(self) -> int:
        return self._table.rows

    def tuned(self, queries: Any | None, kernels: Kernels, alive: Bitmap | None = None) -> Self:
        index = copy.copy(self)
        if queries is not None:
            index._asked = np.ascontiguousarray(queries, np.uint8)
        index._calibrate(kernels, alive)
        return index

    def _calibrate(self, kernels: Kernels, alive: Bitmap | None) -> None:
        """By the user's queries where there are any, by held-out rows otherwise."""
        own, asked = some_alive(self.ntotal, alive, QUERIES, SEED), self._asked
        if asked is None:
            asked = np.ascontiguousarray(self._rows[own])
        else:
            own = np.full(len(asked), -1, np.int64)

        def search(k: int, nprobe: int | None) -> tuple[Int64Array, Float32Array]:
            if nprobe is None:
                found = scan_radius(kernels, asked, self._rows, self._rows.shape[1] * 8, k, alive)
            else:
                found, _ = self._lists.scan(kernels, asked, k, nprobe, alive)
            return found.rows, found.distances

        nlist = len(self._lists.centroids)
        self._table = calibrated(search, _growing(nlist), nlist, own, allowed_count(self.ntotal, alive))
        self.familiar = measured(self, Metric.HAMMING, kernels, asked, own, alive)

    def search(
        self,
        kernels: Kernels,
        queries: NDArray[Any],
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        return self._visited(kernels, queries, k, allowed, params, 0)

    def search_further(
        self, kernels: Kernels, queries: NDArray[Any], k: int, allowed: Bitmap | None, params: SearchParams,
        before: SearchParams, found: Candidates,
    ) -> Candidates:  # fmt: skip
        """Only the lists that were not visited: what was found before stays."""
        spread = self._spread(k, allowed_count(self.ntotal, allowed))
        had, nprobe = self._nprobe(before, spread), self._nprobe(params, spread)
        if nprobe <= had:
            return Candidates(found.rows, found.distances, recall=self._table.recall_of(had, spread))
        more = self._visited(kernels, queries, k, allowed, params, had)
        if more.recall == 1:
            return more
        rows, distances = ([getattr(one, name) for one in (found, more)] for name in ("rows", "distances"))
        more.rows, more.distances = smallest(np.concatenate(rows, axis=1), np.concatenate(distances, axis=1), k)
        return more

    def _spread(self, k: int, count: int) -> float:
        """The k nearest of a share of the rows are spread over as many lists as the k / share nearest of all."""
        return max(1, k) * max(1.0, self.measured_rows / max(1, count))

    def _visited(
        self, kernels: Kernels, queries: NDArray[Any], k: int, allowed: Bitmap | None, params: SearchParams, had: int
    ) -> Candidates:
        """Of lists behind the nearest `had`, or exactly."""
        nlist = len(self._lists.centroids)
        count = allowed_count(self.ntotal, allowed)
        spread = self._spread(k, count)
        nprobe = min(self._nprobe(params, spread), nlist)
        # A scan of few allowed rows, or of all lists, costs no more and is exact.
        if params.exact or count * nlist <= self.ntotal * nprobe:
            found = scan_radius(kernels, queries, self._rows, self._rows.shape[1] * 8, k, allowed)
            found.counters = {"lists_probed": 0, "rows_scanned": count * len(queries)}
            return found
        found, scanned = self._lists.scan(kernels, queries, k, nprobe, allowed, had)
        found.recall = 1.0 if nprobe == nlist else self._table.recall_of(nprobe, spread)
        found.counters = {"lists_probed": (nprobe - had) * len(queries), "rows_scanned": scanned}
        return found

    def _nprobe(self, params: SearchParams, spread: float) -> int:
        if params.nprobe > 0:
            return params.nprobe
        if params.recall_target > 0:
            return self._table.effort_for(params.recall_target, spread)
        if self._spec.nprobe != "auto":
            return self._spec.nprobe
        return self._table.effort_for(DEFAULT_RECALL, spread)

    def caution(self, k: int, matches: int, params: SearchParams) -> Caution:
        """Numbers of lists are fixed, whatever the distances."""
        return Caution(power=1.0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        lists = self._lists
        return {
            "centroids": lists.centroids,
            "offsets": lists.offsets,
            "list_rows": lists.rows,
            "codes": lists.codes,
            **self._table.arrays(),
            **({} if self._asked is None else {"asked": self._asked}),
            **familiar_arrays(self.familiar),
        }

    @classmethod
    def from_arrays(cls, field: VectorField, rows: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        check_rows(field, rows)
        spec = field.index if isinstance(field.index, HammingIVF) else HammingIVF()
        lists = _open_lists(arrays, rows)
        index = cls(spec, rows, lists, open_table(arrays, _NAME, len(lists.centroids), len(rows)))
        if "asked" in arrays:
            index._asked = take(arrays, "asked", np.uint8, (None, rows.shape[1]), _NAME)
        index.familiar = open_familiar(Metric.HAMMING, arrays)
        return index


def _growing(nlist: int) -> Iterator[int]:
    """1, 2, 3, 4, 6, 8, 12, ... up to all lists."""
    lists = 1
    while lists < nlist:
        yield lists
        lists = lists * 4 // 3 if lists % 3 == 0 else (lists * 3 + 1) // 2
    yield nlist


def list_count(spec: HammingIVF, n: int) -> int:
    """The lists of an index over n rows."""
    if spec.nlist == "auto":
        return max(1, min(int(4 * np.sqrt(n)), n // _ROWS_PER_LIST))
    return max(1, min(spec.nlist, n))  # a segment may be smaller than the spec expects


def _open_lists(arrays: Mapping[str, np.ndarray], rows: UInt8Array) -> _Lists:
    n, nbytes = rows.shape
    centroids = take(arrays, "centroids", np.uint8, (None, nbytes), _NAME)
    if not len(centroids):
        raise Corruption(f"{_NAME} has no centroids")
    offsets = take(arrays, "offsets", np.int64, (len(centroids) + 1,), _NAME)
    if offsets[0] != 0 or offsets[-1] != n or (np.diff(offsets) < 0).any():
        raise Corruption(f"the offsets of {len(centroids)} lists do not ascend from 0 to {n}")
    listed = take(arrays, "list_rows", np.uint32, (n,), _NAME)
    if n and (np.bincount(np.minimum(listed, n), minlength=n + 1) != np.array([1] * n + [0])).any():
        raise Corruption(f"list_rows does not hold each of {n} rows once")
    return _Lists(centroids, offsets, listed, take(arrays, "codes", np.uint8, (n, nbytes), _NAME))
