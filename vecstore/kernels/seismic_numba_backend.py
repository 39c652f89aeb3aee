"""The part of the Numba backend that searches blocks of sparse rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import seismic_numba, seismic_numpy
from vecstore.kernels.allowed import allowed_mask
from vecstore.kernels.seismic import BLOCK, Bitmap, OpenSeismic, SeismicArrays, Visit
from vecstore.kernels.seismic_checks import check_seismic, check_seismic_search, check_sketch_nearest
from vecstore.kernels.sparse import Saturation
from vecstore.packed_sparse import StoredRows
from vecstore.sparse import SparseRows

Float32Array = NDArray[np.float32]
Int64Array = NDArray[np.int64]


class NumbaSeismic:
    @property
    @abstractmethod
    def threads(self) -> int: ...

    @abstractmethod
    def _each(self, run: Callable[[int], None], nq: int) -> None: ...

    @abstractmethod
    def sparse_rerank(
        self,
        queries: SparseRows,
        rows: StoredRows,
        saturation: Saturation | None,
        candidates: Int64Array,
        out_distances: Float32Array,
    ) -> None: ...

    def open_seismic(self, arrays: SeismicArrays) -> OpenSeismic:
        return OpenSeismic(len(arrays.rows), seismic_numpy.Opened(arrays, check_seismic(arrays)))

    def seismic_search(
        self,
        index: OpenSeismic,
        rows: StoredRows,
        queries: SparseRows,
        visit: Visit,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        check_seismic_search(index.n, rows, queries, visit, allowed, out_rows, out_distances, out_counters)
        opened: seismic_numpy.Opened = index.handle
        a, part_blocks = opened.arrays, opened.part_blocks
        mask = None if allowed is None else allowed_mask(allowed, index.n)

        def estimate(terms: seismic_numpy.QueryTerms) -> Int64Array:
            sums = np.zeros(a.blocks, np.int64)
            seismic_numba.estimates(terms.terms, terms.weights, a.term_parts, part_blocks, a.part_codes, sums)
            return sums

        def read(terms: seismic_numpy.QueryTerms, blocks: Int64Array) -> tuple[Int64Array, int]:
            sums = np.zeros((len(blocks), BLOCK), np.int64)
            arrays = (a.term_parts, part_blocks, a.part_records, a.record_bases, a.records)
            return sums, seismic_numba.read_blocks(terms.terms, terms.weights, *arrays, blocks, sums)

        def run(q: int) -> None:
            outputs = out_rows[q], out_distances[q], out_counters[q]
            seismic_numpy.search(self.sparse_rerank, a, rows, queries.row(q), visit, mask, estimate, read, *outputs)

        self._each(run, len(queries))

    def sketch_nearest(
        self,
        ids: NDArray[np.uint32],
        weights: Float32Array,
        members: Int64Array,
        centroids: Float32Array,
        out: NDArray[np.int32],
    ) -> None:
        check_sketch_nearest(ids, weights, members, centroids, out)
        bounds = np.linspace(0, len(members), self.threads + 1).astype(np.int64)

        def run(w: int) -> None:
            seismic_numba.sketch_nearest(ids, weights, members, centroids, bounds[w], bounds[w + 1], out)

        self._each(run, self.threads)
