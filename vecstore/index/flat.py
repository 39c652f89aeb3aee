"""Exact search: scan every allowed row. The answer that approximate indexes are measured against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption, InvalidArgument
from vecstore.index.base import DEFAULT_PARAMS, EXACT_SCAN, Candidates, Index, SearchParams, allowed_count
from vecstore.index.prefixes import Prefixes
from vecstore.index.scanned import ScannedIndex
from vecstore.kernels.base import Bitmap, Float32Array, Kernels
from vecstore.kernels.row_bytes import RowBytes
from vecstore.schema import Metric, VectorField


def check_rows(field: VectorField, rows: NDArray[Any]) -> None:
    """Raises Corruption when stored vectors are not of the field's dtype and width."""
    expected = (field.storage_dtype, field.storage_width)
    if rows.ndim != 2 or (rows.dtype, rows.shape[1]) != expected:
        message = (
            f"stored vectors are {rows.dtype} of shape {rows.shape}, the field needs {expected[0]} x {expected[1]}"
        )
        raise Corruption(message)


def _places(nq: int, k: int) -> Candidates:
    places = np.empty((nq, k), np.int64), np.empty((nq, k), np.float32)
    return Candidates(*places, recall=1.0, strategy=EXACT_SCAN)


def scan_radius(
    kernels: Kernels,
    queries: NDArray[np.uint8],
    rows: NDArray[np.uint8],
    radius: int,
    limit: int,
    allowed: Bitmap | None,
) -> Candidates:
    """The nearest `limit` allowed rows within `radius` differing bits, places (nq, limit)."""
    found = _places(len(queries), limit)
    kernels.hamming_scan(queries, rows, allowed, found.rows, found.distances)
    beyond = found.distances > radius
    found.rows[beyond] = -1
    found.distances[beyond] = np.inf
    return found


ROWS_MIN = 2_048  # fewer are soon scanned
DIM_MIN = 64  # a row's scale and square would be much beside fewer bytes
ALLOWED_SHARE = 8  # of the rows; where fewer are allowed, kernels read only these
K_SHARE = 16  # of the rows; where more are asked for, most are compared in full


class FlatIndex(ScannedIndex):
    """Dense rows by the field's metric."""

    name: ClassVar[str] = "flat"

    def __init__(self, field: VectorField, rows: NDArray[Any], inverse_norms: Float32Array | None = None) -> None:
        """`rows` is (n, dim) in the field's storage dtype; `inverse_norms` is float32 (n,), for cosine only."""
        self.ntotal, self._dim = len(rows), int(rows.shape[1])
        self._metric = field.metric
        self._rows = rows
        self._inverse_norms = inverse_norms if field.metric is Metric.COSINE else None
        self._prefixes = Prefixes(field.metric, rows)

    @property
    def rounded_bytes(self) -> int:
        return self.ntotal * (self._dim + 8)

    def bytes_pay(self, k: int, n_allowed: int) -> bool:
        n = self.ntotal
        return n >= ROWS_MIN and self._dim >= DIM_MIN and k * K_SHARE <= n and n_allowed * ALLOWED_SHARE >= n

    def rounded(self, kernels: Kernels, first: int) -> RowBytes | None:
        norms = None if self._inverse_norms is None else self._inverse_norms[first:]
        return kernels.round_rows(self._metric, self._rows[first:], norms)

    def search(
        self,
        kernels: Kernels,
        queries: NDArray[Any],
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        found = _places(len(queries), k)
        rows, norms, row_bytes = self._rows, self._inverse_norms, self._row_bytes
        if params.truncate_dim not in (0, rows.shape[1]):
            queries, rows, norms = self._prefixes.cut(kernels, queries, params.truncate_dim)
            row_bytes = None
            found.recall = None  # of the nearest by whole vectors
        kernels.scan(self._metric, queries, rows, norms, allowed, found.rows, found.distances, row_bytes)
        found.counters["rows_scanned"] = len(queries) * allowed_count(self.ntotal, allowed)
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {} if self._inverse_norms is None else {"inverse_norms": self._inverse_norms}

    @classmethod
    def from_arrays(cls, field: VectorField, rows: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        check_rows(field, rows)
        if field.metric is not Metric.COSINE:
            return cls(field, rows)
        inverse_norms = arrays.get("inverse_norms")
        if inverse_norms is None:
            raise Corruption("a flat index by cosine lacks its array inverse_norms")
        if inverse_norms.dtype != np.float32 or inverse_norms.shape != (len(rows),):
            got = f"{inverse_norms.dtype} of shape {inverse_norms.shape}"
            raise Corruption(f"inverse_norms is {got}, {len(rows)} rows need float32 of shape ({len(rows)},)")
        return cls(field, rows, inverse_norms)


class BinaryFlatIndex(Index):
    """Packed bits by Hamming distance."""

    name: ClassVar[str] = "flat_binary"

    def __init__(self, field: VectorField, rows: NDArray[np.uint8]) -> None:
        """`rows` is uint8 (n, dim / 8)."""
        self.ntotal = len(rows)
        self._rows = rows

    def search(
        self,
        kernels: Kernels,
        queries: NDArray[Any],
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        if params.truncate_dim:
            raise InvalidArgument(f"truncate_dim={params.truncate_dim} suits dense vectors, these are binary")
        found = _places(len(queries), k)
        kernels.hamming_scan(queries, self._rows, allowed, found.rows, found.distances)
        found.counters["rows_scanned"] = len(queries) * allowed_count(self.ntotal, allowed)
        return found

    def search_radius(
        self, kernels: Kernels, queries: NDArray[np.uint8], radius: int, limit: int, allowed: Bitmap | None
    ) -> Candidates:
        """The nearest `limit` allowed rows within `radius` differing bits, places (nq, limit)."""
        found = scan_radius(kernels, queries, self._rows, radius, limit, allowed)
        found.counters["rows_scanned"] = len(queries) * allowed_count(self.ntotal, allowed)
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    @classmethod
    def from_arrays(cls, field: VectorField, rows: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        check_rows(field, rows)
        return cls(field, rows)
