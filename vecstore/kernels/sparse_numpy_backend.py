"""The law for sparse rows, and for blocks of them."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import (
    seismic_numpy,
    sparse_numpy,
)
from vecstore.kernels.allowed import allowed_mask, allowed_rows
from vecstore.kernels.base import (
    Bitmap,
    Float32Array,
    Int64Array,
)
from vecstore.kernels.seismic import OpenSeismic, SeismicArrays, Visit
from vecstore.kernels.seismic_checks import check_seismic, check_seismic_search, check_sketch_nearest
from vecstore.kernels.sparse import Saturation
from vecstore.kernels.sparse_checks import (
    check_document_frequency,
    check_sparse_rerank,
    check_sparse_scan,
    check_unpack,
)
from vecstore.kernels.window_search import PortableSparse
from vecstore.offsets import taken_of
from vecstore.packed_sparse import PackedRows, StoredRows
from vecstore.sparse import SparseRows


class NumpySparse(PortableSparse):
    def sparse_scan(
        self,
        queries: SparseRows,
        rows: StoredRows,
        saturation: Saturation | None,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        check_sparse_scan(queries, rows, saturation, allowed, out_rows, out_distances)
        listed = allowed_rows(allowed, len(rows))
        distances = np.empty((len(queries), len(listed)), np.float32)
        matched = np.empty(distances.shape, bool)
        for part in sparse_numpy.blocks_of(len(listed)):
            block = rows[part] if allowed is None else rows.take(listed[part])
            own = saturation and saturation.take(listed[part])
            for q, query in enumerate(queries):
                distances[q, part], matched[q, part] = sparse_numpy.row_distances(query, block, own)
        for q in range(len(queries)):
            found = matched[q]
            sparse_numpy.write_nearest(listed[found], distances[q, found], out_rows[q], out_distances[q])

    def sparse_rerank(
        self,
        queries: SparseRows,
        rows: StoredRows,
        saturation: Saturation | None,
        candidates: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        check_sparse_rerank(queries, rows, saturation, candidates, out_distances)
        out_distances.fill(np.inf)
        for q, query in enumerate(queries):
            places = np.flatnonzero(candidates[q] >= 0)
            listed = candidates[q, places]
            own = saturation and saturation.take(listed)
            distances, matched = sparse_numpy.row_distances(query, rows.take(listed), own)
            out_distances[q, places[matched]] = distances[matched]

    def sparse_document_frequency(
        self, terms: NDArray[np.uint32], rows: StoredRows, allowed: Bitmap | None, out: Int64Array
    ) -> None:
        check_document_frequency(terms, rows, allowed, out)
        listed = allowed_rows(allowed, len(rows))
        out[:] = 0
        for part in sparse_numpy.blocks_of(len(listed)):
            out += sparse_numpy.document_frequency(terms, rows.take(listed[part]))

    def unpack_places(self, rows: PackedRows, listed: Int64Array, offsets: Int64Array, out: NDArray[np.uint32]) -> None:
        check_unpack(rows, listed, offsets, out)
        out[:] = rows.places(listed, *taken_of(rows.offsets, listed))

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
        mask = None if allowed is None else allowed_mask(allowed, index.n)
        parts = partial(seismic_numpy.estimates, opened), partial(seismic_numpy.read_blocks, opened)
        for q, query in enumerate(queries):
            outputs = out_rows[q], out_distances[q], out_counters[q]
            seismic_numpy.search(self.sparse_rerank, opened.arrays, rows, query, visit, mask, *parts, *outputs)

    def sketch_nearest(
        self,
        ids: NDArray[np.uint32],
        weights: Float32Array,
        members: Int64Array,
        centroids: Float32Array,
        out: NDArray[np.int32],
    ) -> None:
        check_sketch_nearest(ids, weights, members, centroids, out)
        seismic_numpy.sketch_nearest(ids, weights, members, centroids, out)
