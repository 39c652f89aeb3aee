"""Exact search of packed bits by multi-index hashing.

Norouzi, Punjani and Fleet, "Fast exact search in Hamming space with multi-index hashing" (2014). A row within distance
r of a query has one of m chunks within r // m, so buckets around the query's chunks are looked up at growing radius
until nothing nearer can be left. That pays for near neighbours among 64 to 256 bits; a query whose proof would take
more work than a scan is scanned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import invalid
from vecstore.index.base import (
    DEFAULT_PARAMS,
    EXACT_SCAN,
    BuiltIndex,
    Candidates,
    Progress,
    SearchParams,
    Warm,
    allowed_count,
)
from vecstore.index.flat import check_rows, scan_radius
from vecstore.index.mih_tables import auto_chunks, build_tables, open_tables, table_arrays
from vecstore.index_check import MIH_CHUNK_BITS_MAX
from vecstore.index_spec import BAD_INDEX_SPEC, MIH
from vecstore.kernels.base import Bitmap, Float32Array, Kernels, MihTables, UInt8Array
from vecstore.schema import VectorField

# A look-up or a comparison of a row somewhere in memory takes as long as this many rows of a scan.
_ROWS_PER_STEP = 64


class MihIndex(BuiltIndex):
    name: ClassVar[str] = "mih"
    is_exact: ClassVar[bool] = True

    def __init__(self, rows: UInt8Array, tables: MihTables) -> None:
        """`rows` is uint8 (n, dim / 8)."""
        self.ntotal = len(rows)
        self.code_bytes = (tables.rows.nbytes + tables.buckets.nbytes) / max(len(rows), 1)
        self._rows = rows
        self._tables = tables

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
        """Nothing is learned, so `warm` has nothing to give."""
        del inverse_norms, kernels, warm
        check_rows(field, rows)
        return cls(rows, build_tables(rows, _chunks(spec, field.dim, len(rows)), progress))

    def search(
        self,
        kernels: Kernels,
        queries: NDArray[Any],
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        return self._search(kernels, queries, k, allowed, self._rows.shape[1] * 8, params.exact)

    def search_radius(
        self, kernels: Kernels, queries: UInt8Array, radius: int, limit: int, allowed: Bitmap | None
    ) -> Candidates:
        """The nearest `limit` allowed rows within `radius` differing bits, places (nq, limit)."""
        return self._search(kernels, queries, limit, allowed, radius, False)

    def _search(
        self, kernels: Kernels, queries: UInt8Array, k: int, allowed: Bitmap | None, radius: int, exact: bool
    ) -> Candidates:
        nq = len(queries)
        found = Candidates(np.empty((nq, k), np.int64), np.empty((nq, k), np.float32), recall=1.0)
        counted = np.zeros((nq, 3), np.int64)
        count = allowed_count(self.ntotal, allowed)
        budget = 0 if exact else count // _ROWS_PER_STEP
        if budget:
            outputs = (found.rows, found.distances, counted)
            kernels.mih_search(queries, self._rows, self._tables, radius, budget, allowed, *outputs)
        left = np.flatnonzero(counted[:, 2] == 0)
        if len(left):
            scanned = scan_radius(kernels, queries[left], self._rows, radius, k, allowed)
            found.rows[left], found.distances[left] = scanned.rows, scanned.distances
        if len(left) == nq:
            found.strategy = EXACT_SCAN
        found.counters["buckets_probed"] = int(counted[:, 0].sum())
        found.counters["rows_scanned"] = int(counted[:, 1].sum()) + len(left) * count
        found.counters["queries_scanned"] = len(left)
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        return table_arrays(self._tables)

    @classmethod
    def from_arrays(cls, field: VectorField, rows: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        check_rows(field, rows)
        return cls(rows, open_tables(arrays, len(rows), field.dim))


def _chunks(spec: MIH, bits: int, n: int) -> int:
    if spec.chunks == "auto":
        return auto_chunks(bits, n)
    least = -(-bits // MIH_CHUNK_BITS_MAX)
    if not least <= spec.chunks <= bits:
        message = (
            f"chunks is {spec.chunks}, {bits} bits need {least} to {bits} (at most {MIH_CHUNK_BITS_MAX} bits each)"
        )
        raise invalid(BAD_INDEX_SPEC, message, "chunks")
    return spec.chunks
