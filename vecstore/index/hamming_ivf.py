"""Packed bits in lists around majority centroids; a query scans the lists of its nearest centroids.

`nprobe` comes from a curve of recall measured at build time: rows of the index as queries, against an exact scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.index.base import DEFAULT_PARAMS, BuiltIndex, Candidates, Progress, SearchParams, Warm, allowed_count
from vecstore.index.flat import check_rows, scan_radius
from vecstore.index.majority import nearest_centroids, train_centroids
from vecstore.index_spec import HammingIVF
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels, UInt8Array
from vecstore.schema import VectorField

DEFAULT_RECALL = 0.95  # what nprobe="auto" asks of the curve
_GROWTH_MAX = 2  # lists wanted over lists learned before, up to which a merge trains nothing
_ROWS_PER_LIST = 32  # at least, where nlist is chosen here
_CALIBRATION_QUERIES = 256
_CALIBRATION_K = 10


@dataclass(frozen=True, slots=True)
class _Lists:
    """Rows in list order: list i has places offsets[i] to offsets[i + 1]."""

    centroids: UInt8Array  # (nlist, nbytes)
    offsets: Int64Array  # (nlist + 1,)
    rows: NDArray[np.uint32]  # (n,) ascending within a list
    codes: UInt8Array  # (n, nbytes)

    def scan(
        self, kernels: Kernels, queries: UInt8Array, k: int, nprobe: int, allowed: Bitmap | None
    ) -> tuple[Candidates, int]:
        """The k nearest rows of each query's nprobe nearest lists, and how many rows were compared."""
        nearest = np.empty((len(queries), nprobe), np.int64)
        kernels.hamming_scan(queries, self.centroids, None, nearest, np.empty(nearest.shape, np.float32))
        found = Candidates(np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32))
        scanned = np.zeros(len(queries), np.int64)
        kernels.hamming_list_scan(
            queries, self.codes, self.rows, self.offsets, nearest.astype(np.int32), allowed,
            found.rows, found.distances, scanned,
        )  # fmt: skip
        return found, int(scanned.sum())


@dataclass(frozen=True, slots=True)
class _Curve:
    """Measured recall by lists probed, both ascending."""

    nprobes: NDArray[np.int32]
    recalls: Float32Array

    def nprobe_for(self, recall: float) -> int:
        """The fewest measured lists that reach `recall`; all measured ones when none does."""
        reached = np.flatnonzero(self.recalls >= recall)
        return int(self.nprobes[reached[0] if len(reached) else -1])


class HammingIvfIndex(BuiltIndex):
    name: ClassVar[str] = "hamming_ivf"
    reads_by_kernels: ClassVar[bool] = True

    def __init__(self, spec: HammingIVF, rows: UInt8Array, lists: _Lists, curve: _Curve) -> None:
        """`rows` is uint8 (n, dim / 8)."""
        self.ntotal = len(rows)
        self.code_bytes = float(rows.shape[1])
        self._spec = spec
        self._rows = rows
        self._lists = lists
        self._curve = curve

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
        nlist = _nlist(spec, len(rows))
        if warm is not None and len(rows) and nlist <= _GROWTH_MAX * len(warm.index._lists.centroids):
            centroids = warm.index._lists.centroids
        else:
            centroids = train_centroids(kernels, rows, nlist, progress)
        assigned = nearest_centroids(kernels, rows, centroids, progress)
        order = np.argsort(assigned, kind="stable")
        offsets = np.zeros(len(centroids) + 1, np.int64)
        np.cumsum(np.bincount(assigned, minlength=len(centroids)), out=offsets[1:])
        lists = _Lists(centroids, offsets, order.astype(np.uint32), rows[order])
        return cls(spec, rows, lists, _measure(kernels, rows, lists, progress))

    def search(
        self,
        kernels: Kernels,
        queries: NDArray[Any],
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        nlist = len(self._lists.centroids)
        nprobe = min(self._nprobe(params), nlist)
        count = allowed_count(self.ntotal, allowed)
        # A scan of few allowed rows, or of all lists, costs no more and is exact.
        if params.exact or count * nlist <= self.ntotal * nprobe:
            found = scan_radius(kernels, queries, self._rows, self._rows.shape[1] * 8, k, allowed)
            found.counters = {"lists_probed": 0, "rows_scanned": count * len(queries)}
            return found
        found, scanned = self._lists.scan(kernels, queries, k, nprobe, allowed)
        found.counters = {"lists_probed": nprobe * len(queries), "rows_scanned": scanned}
        return found

    def _nprobe(self, params: SearchParams) -> int:
        if params.nprobe > 0:
            return params.nprobe
        if params.recall_target > 0:
            return self._curve.nprobe_for(params.recall_target)
        if self._spec.nprobe != "auto":
            return self._spec.nprobe
        return self._curve.nprobe_for(DEFAULT_RECALL)

    def arrays(self) -> dict[str, NDArray[Any]]:
        lists, curve = self._lists, self._curve
        return {
            "centroids": lists.centroids,
            "offsets": lists.offsets,
            "list_rows": lists.rows,
            "codes": lists.codes,
            "curve_nprobe": curve.nprobes,
            "curve_recall": curve.recalls,
        }

    @classmethod
    def from_arrays(cls, field: VectorField, rows: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        check_rows(field, rows)
        spec = field.index if isinstance(field.index, HammingIVF) else HammingIVF()
        return cls(spec, rows, _open_lists(arrays, rows), _open_curve(arrays))


def _nlist(spec: HammingIVF, n: int) -> int:
    if spec.nlist == "auto":
        return max(1, min(int(4 * np.sqrt(n)), n // _ROWS_PER_LIST))
    return max(1, min(spec.nlist, n))  # a segment may be smaller than the spec expects


def _measure(kernels: Kernels, rows: UInt8Array, lists: _Lists, progress: Progress) -> _Curve:
    """Recall at 10 by lists probed, in steps of about 1.4, until it is complete. A row is no answer to itself; a row as
    near as the tenth is as good as the tenth."""
    progress("calibrate", 0, 1)
    nlist, n = len(lists.centroids), len(rows)
    k = min(_CALIBRATION_K, n - 1)
    if k < 1 or nlist == 1:
        return _Curve(np.array([nlist], np.int32), np.ones(1, np.float32))
    chosen = np.random.default_rng(0).choice(n, min(n, _CALIBRATION_QUERIES), replace=False)
    queries = np.ascontiguousarray(rows[chosen])
    exact = scan_radius(kernels, queries, rows, rows.shape[1] * 8, k + 1, None)
    reach = np.sort(np.where(exact.rows == chosen[:, None], np.inf, exact.distances), axis=1)[:, k - 1, None]
    nprobes: list[int] = []
    recalls: list[float] = []
    nprobe = 1
    while not recalls or recalls[-1] < 1:
        nprobe = min(nprobe, nlist)
        found, _ = lists.scan(kernels, queries, k + 1, nprobe, None)
        good = (found.distances <= reach) & (found.rows != chosen[:, None])
        nprobes.append(nprobe)
        recalls.append(float(np.minimum(good.sum(axis=1), k).mean() / k))
        nprobe = nprobe * 4 // 3 if nprobe % 3 == 0 else (nprobe * 3 + 1) // 2  # 1, 2, 3, 4, 6, 8, 12, ...
    progress("calibrate", 1, 1)
    return _Curve(np.array(nprobes, np.int32), np.array(recalls, np.float32))


def _take(arrays: Mapping[str, np.ndarray], name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> Any:
    """The array of that name; -1 in `shape` stands for any length of at least 1."""
    array = arrays.get(name)
    if array is None:
        raise Corruption(f"a hamming_ivf index lacks its array {name}")
    fits = array.ndim == len(shape) and all(
        got == want or (want == -1 and got >= 1) for got, want in zip(array.shape, shape, strict=True)
    )
    if array.dtype != np.dtype(dtype) or not fits:
        raise Corruption(f"array {name} is {array.dtype} of shape {array.shape}, not {np.dtype(dtype)} of {shape}")
    return array


def _open_lists(arrays: Mapping[str, np.ndarray], rows: UInt8Array) -> _Lists:
    n, nbytes = rows.shape
    centroids = _take(arrays, "centroids", np.uint8, (-1, nbytes))
    offsets = _take(arrays, "offsets", np.int64, (len(centroids) + 1,))
    if offsets[0] != 0 or offsets[-1] != n or (np.diff(offsets) < 0).any():
        raise Corruption(f"the offsets of {len(centroids)} lists do not ascend from 0 to {n}")
    listed = _take(arrays, "list_rows", np.uint32, (n,))
    if n and (np.bincount(np.minimum(listed, n), minlength=n + 1) != np.array([1] * n + [0])).any():
        raise Corruption(f"list_rows does not hold each of {n} rows once")
    return _Lists(centroids, offsets, listed, _take(arrays, "codes", np.uint8, (n, nbytes)))


def _open_curve(arrays: Mapping[str, np.ndarray]) -> _Curve:
    nprobes = _take(arrays, "curve_nprobe", np.int32, (-1,))
    recalls = _take(arrays, "curve_recall", np.float32, (len(nprobes),))
    if nprobes[0] < 1 or (np.diff(nprobes) < 1).any() or not ((recalls >= 0) & (recalls <= 1)).all():
        raise Corruption("the curve of recall by lists probed does not ascend from 1 within 0 to 1")
    return _Curve(nprobes, recalls)
