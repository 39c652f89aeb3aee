"""Measuring anew how hard an index has to look, on a user's queries or after deletes: the tables change, the index does
not.

Called from maintenance's thread only.
"""

from __future__ import annotations

import numpy as np

from vecstore.engine import bitmaps, changes, keys
from vecstore.engine.build import whole
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Committer
from vecstore.engine.derived import delete_columns
from vecstore.engine.header import Column, IndexColumns, SegmentHeader
from vecstore.engine.jobs import column_chunks
from vecstore.engine.rechecks import searched_rows
from vecstore.engine.sealed import SealedSegment
from vecstore.errors import IoFailed, VecstoreError, invalid
from vecstore.index.base import BuiltIndex
from vecstore.kernels.select import get_kernels
from vecstore.rows import Rows
from vecstore.storage.interfaces import Blobs

QUERIES_MIN = 20
QUERIES_MAX = 1024  # of more, as many are taken evenly: a recall of .95 is then known to a third of a point


def enough_queries(queries: Rows) -> Rows:
    """Those to tune on. Raises InvalidArgument (TOO_FEW_QUERIES)."""
    if len(queries) < QUERIES_MIN:
        message = f"{len(queries)} queries tell too little; give at least {QUERIES_MIN}, better {QUERIES_MAX}"
        raise invalid("TOO_FEW_QUERIES", message, "queries")
    return queries[np.linspace(0, len(queries) - 1, min(len(queries), QUERIES_MAX)).astype(np.int64)]


class Tuning:
    def __init__(self, committer: Committer, blobs: Blobs) -> None:
        self._committer = committer
        self._blobs = blobs

    def tune(self, collection: Collection, segment: SealedSegment, name: str, queries: Rows | None) -> bool:
        """Tune the segment's index on vector field `name` among the rows that live now, on these queries or on those
        that it was measured on before; False when it has none that can be tuned. Arrays that stay as they are keep
        their columns."""
        index, before = segment.index(name), segment.header
        alive = searched_rows(segment, name, collection.alive(segment.uid))
        among = None if bitmaps.count_bits(alive) == before.n_rows else alive
        tuned = None if index is None else index.tuned(queries, segment.guard(get_kernels(), name), among)
        if index is None or tuned is None:
            return False
        made, fresh = self._stored(collection, segment, name, index, tuned)
        try:
            added = self._committer.exclusive(
                lambda: changes.add_derived_columns(collection, segment.uid, made, {name: tuned})
            )
        except IoFailed:
            raise  # the change may be on disk although its fsync failed: the next open finds out and sweeps
        except VecstoreError:
            delete_columns(self._blobs, fresh)
            raise
        kept = {column.ref.name for column in made.columns}
        old = [column for column in before.columns if column.name in before.indexes[name].arrays.values()]
        delete_columns(self._blobs, [column for column in old if column.ref.name not in kept] if added else fresh)
        return True

    def _stored(
        self, collection: Collection, segment: SealedSegment, name: str, index: BuiltIndex, tuned: BuiltIndex
    ) -> tuple[SegmentHeader, list[Column]]:
        """A header of the tuned index, and those of its columns that are new: written, but in no manifest."""
        header, entry = segment.header, segment.header.indexes[name]
        stored = {column.name: column for column in header.columns}
        same, generation = index.arrays(), header.generation + 1
        columns: list[Column] = []
        fresh: list[Column] = []
        names: dict[str, str] = {}
        for array, values in tuned.arrays().items():
            if array == "inverse_norms":
                continue
            if values is same.get(array) and array in entry.arrays:
                names[array] = entry.arrays[array]
                columns.append(stored[names[array]])
                continue
            names[array] = f"index.{generation}.{name}.{array}"
            made = whole(names[array], values)
            blob = keys.blob(collection.number, header.id, generation, len(fresh))
            ((_, chunks),) = column_chunks([(blob, made.chunks)])
            fresh.append(Column(made.name, made.dtype.str, made.shape, self._blobs.put_new(blob, chunks)))
        indexes = {name: IndexColumns(entry.spec, entry.name, names)}
        made_header = SegmentHeader(
            header.id, header.n_rows, header.max_seq, (*columns, *fresh), {}, generation, indexes
        )
        return made_header, fresh
