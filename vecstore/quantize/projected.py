"""What RaBitQ, SAQ and Lloyd-Max share: residuals are projected, projections coded, codes scanned by tables."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping

import numpy as np

from vecstore.kernels import encode
from vecstore.kernels.base import Bitmap, Float32Array, Kernels
from vecstore.kernels.places import place_of
from vecstore.quantize import table_codes
from vecstore.quantize.base import Codes, Encoded, Found, Lists, Probes, Quantizer, batch_rows
from vecstore.quantize.estimates import Residuals
from vecstore.quantize.row_codes import RowSearch
from vecstore.quantize.table_codes import Tables, TableSearch

_BATCH = 1024  # rows encoded at once; the result does not depend on it


class ProjectedQuantizer(Quantizer):
    """`encode` gives "nibbles" (n, m) and "factors", with a second stage also "extra" and "extra_factors"."""

    tables: Tables

    @abstractmethod
    def project(self, rows: Float32Array) -> Float32Array:
        """The linear map that rows, centroids and queries go through, (n, dim) to (n, dims)."""

    def project_back(self, projected: Float32Array) -> Float32Array:
        """Its transpose."""
        return projected @ self.project(np.eye(self.dim, dtype=np.float32)).T

    @abstractmethod
    def encode_residuals(self, residuals: Residuals) -> Encoded: ...

    @abstractmethod
    def decode_residuals(self, encoded: Encoded) -> Float32Array:
        """Projections (n, dims) of the residuals that codes stand for."""

    def encode(self, rows: Float32Array, centroids: Float32Array | None) -> Encoded:
        parts = [self.encode_residuals(part) for part in self._residuals(rows, centroids)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def decode(self, encoded: Encoded, centroids: Float32Array | None) -> Float32Array:
        rows = self.project_back(self.decode_residuals(encoded))
        return rows if centroids is None else rows + centroids

    def pack(self, encoded: Encoded, lists: Lists) -> dict[str, np.ndarray]:
        extra, extra_factors = encoded.get("extra"), encoded.get("extra_factors")
        return table_codes.pack(lists, encoded["nibbles"], encoded["factors"], extra, extra_factors)

    def open(self, arrays: Mapping[str, np.ndarray], lists: Lists) -> Codes:
        return _Search(self, self.scanned(arrays, lists))

    def scanned(self, arrays: Mapping[str, np.ndarray], lists: Lists) -> TableSearch | RowSearch:
        """Codes of projections. Raises Corruption when the arrays do not fit `lists`."""
        return TableSearch(arrays, lists, self.tables)

    def _residuals(self, rows: Float32Array, centroids: Float32Array | None) -> Iterator[Residuals]:
        numbers, projections = None, None
        size = batch_rows(rows, _BATCH)
        if centroids is not None and len(centroids) and place_of(rows) is None:
            first, numbers = _distinct(centroids)
            projections = self.project(centroids[first])
        for start in range(0, max(1, len(rows)), size):
            part = slice(start, start + size)
            residual = rows[part]
            if centroids is not None:
                residual = residual - centroids[part]
            squares = encode.row_dots(residual, residual)
            dots = np.zeros_like(squares) if centroids is None else encode.row_dots(residual, centroids[part])
            of_rows = None
            if projections is not None and numbers is not None:
                of_rows = projections[numbers[part]]
            elif centroids is not None:  # on a device, where a projection costs less than to find equal rows
                of_rows = self.project(centroids[part])
            yield Residuals(self.project(residual), of_rows, squares, dots)


def _distinct(rows: Float32Array) -> tuple[np.ndarray, np.ndarray]:
    """The first of each set of equal rows, and the set that each row is in: few centroids stand for many rows."""
    # A sum over a row's bits tells most different rows apart; those that it does not keep a set each.
    marks = rows.view(np.uint32).astype(np.uint64) @ (2 * np.arange(rows.shape[1], dtype=np.uint64) + 1)
    _, first, numbers = np.unique(marks, return_index=True, return_inverse=True)
    if (rows == rows[first[numbers]]).all():
        return first, numbers
    everything = np.arange(len(rows))
    return everything, everything


class _Search(Codes):
    """Codes of projections: queries are projected, then scanned."""

    def __init__(self, quantizer: ProjectedQuantizer, inner: TableSearch | RowSearch) -> None:
        self._quantizer = quantizer
        self._inner = inner

    @property
    def codes(self) -> object:
        return self._inner.codes

    def search(
        self,
        kernels: Kernels,
        queries: Float32Array,
        probes: Probes,
        k: int,
        m: int,
        allowed: Bitmap | None,
        eps: float,
    ) -> Found:
        return self._inner.search(kernels, self._quantizer.project(queries), probes, k, m, allowed, eps)
