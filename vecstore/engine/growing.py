"""The growing segment: takes writes in memory, is replayed from the log after a restart, and is scanned exactly.

One thread (the committer, or recovery) appends; any number of threads read through views. Rows are never changed or
moved: a newer row of the same id supersedes the older one, which the view's `alive` bitmap hides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vecstore.engine import bitmaps
from vecstore.engine.columns import GrowingArray, GrowingRagged, growing_rows
from vecstore.engine.ids import encode_id, pack_ids
from vecstore.engine.records import pack_payloads
from vecstore.engine.row_columns import empty_rows, one_row, row_arrays
from vecstore.engine.segment import decode_payload
from vecstore.hits import id_array
from vecstore.index.base import BuiltIndex, Index
from vecstore.index.inverted_growing import GrowingInverted
from vecstore.index.registry import flat_class
from vecstore.kernels.base import Bitmap, Int64Array, Kernels
from vecstore.kernels.select import get_kernels
from vecstore.query.filter import PointId
from vecstore.query.payload_index import FieldIndex, GrowingFieldIndex
from vecstore.rows import Rows, StoredVector, TextRows
from vecstore.schema import FieldKind, Metric, VectorField, VectorKind, weight_of
from vecstore.sparse import SparseRows
from vecstore.types import PointBatch


class GrowingSegment:
    sorted_by_id = False

    def __init__(
        self, uid: str, vectors: Mapping[str, VectorField], fields: Mapping[str, FieldKind], *, searched: bool = True
    ) -> None:
        """`searched` False leaves out what only the search for vectors needs."""
        self.uid = uid
        self.max_seq = 0  # the last write that this segment has rows or deletes of
        self.n_rows = 0
        self.payload_bytes = 0
        self._specs = dict(vectors)
        self._rows = {name: growing_rows(spec) for name, spec in vectors.items()}
        self._present = {name: GrowingArray(np.dtype(np.uint8)) for name in vectors}
        self._missing = dict.fromkeys(vectors, 0)
        cosine = [name for name, spec in vectors.items() if searched and spec.metric is Metric.COSINE]
        self._norms = {name: GrowingArray(np.dtype(np.float32)) for name in cosine}
        sparse = [name for name, spec in vectors.items() if searched and spec.is_sparse]
        self._inverted = {name: GrowingInverted(vectors[name], get_kernels()) for name in sparse}
        self._seqs = GrowingArray(np.dtype(np.uint64))
        self._ids: list[PointId] = []
        self._payloads: list[bytes | None] = []
        self._last_row: dict[PointId, int] = {}
        self._older_row: list[int] = []  # the row of the same id before this one, or -1
        self._indexes = {key: GrowingFieldIndex(key, kind) for key, kind in fields.items()}
        self._sorted: list[tuple[bytes, int]] = []  # (encoded id, row), a cache for scrolling

    @property
    def nbytes(self) -> int:
        lists = sum(lists.nbytes for lists in self._inverted.values())
        return sum(rows.nbytes for rows in self._rows.values()) + lists + self.payload_bytes

    @property
    def indexed(self) -> list[str]:
        """Payload keys that this segment indexes."""
        return sorted(self._indexes)

    def append(self, batch: PointBatch, seq: int) -> list[int]:
        """Add a batch of points with distinct ids; returns the rows of this segment that it supersedes."""
        first, count = self.n_rows, len(batch.ids)
        for name in self._specs:
            self._append_vectors(name, batch, count)
        self._seqs.append(np.full(count, seq, dtype=np.uint64))
        payloads = batch.payloads if batch.payloads is not None else [None] * count
        self._payloads.extend(payloads)
        self.payload_bytes += sum(len(payload) for payload in payloads if payload)
        if self._indexes:
            for row, payload in enumerate(payloads, first):
                decoded = decode_payload(payload) if payload else None
                for index in self._indexes.values():
                    index.add(row, decoded)
        self._ids.extend(batch.ids)
        superseded = []
        for row, point_id in enumerate(batch.ids, first):
            older = self._last_row.get(point_id, -1)
            self._older_row.append(older)
            self._last_row[point_id] = row
            if older >= 0:
                superseded.append(older)
        self.n_rows += count
        self.max_seq = max(self.max_seq, seq)
        return superseded

    def _append_vectors(self, name: str, batch: PointBatch, count: int) -> None:
        spec, vectors = self._specs[name], batch.vectors.get(name)
        if vectors is None:
            rows = empty_rows(spec, count)
            present = np.zeros(count, dtype=np.uint8)
        else:
            assert not isinstance(vectors.rows, TextRows)  # a write's texts have been analysed
            rows = vectors.rows
            present = np.ones(count, np.uint8) if vectors.present is None else vectors.present.astype(np.uint8)
        self._rows[name].append(rows)
        self._present[name].append(present)
        self._missing[name] += count - int(np.count_nonzero(present))
        if name in self._inverted:
            so_far = self._rows[name].view(self.n_rows + count)
            assert isinstance(so_far, SparseRows)
            self._inverted[name].extend(so_far)
        if name in self._norms:
            norms = np.empty(count, dtype=np.float32)
            assert isinstance(rows, np.ndarray)
            get_kernels().inverse_norms(np.ascontiguousarray(rows), norms)
            self._norms[name].append(norms)

    def last_rows(self, ids: Sequence[PointId]) -> list[int]:
        """The newest row of each id that has one. Committer's thread only."""
        get = self._last_row.get
        return [row for row in map(get, ids) if row is not None]

    def find(self, ids: Sequence[PointId], n_rows: int) -> Int64Array:
        rows = np.full(len(ids), -1, dtype=np.int64)
        for place, point_id in enumerate(ids):
            row = self._last_row.get(point_id, -1)
            while row >= n_rows:
                row = self._older_row[row]
            rows[place] = row
        return rows

    def take_ids(self, rows: Int64Array) -> np.ndarray:
        ids = self._ids
        return id_array([ids[row] for row in rows.tolist()])

    def rows_after(self, after: PointId | None, n_rows: int) -> Iterator[tuple[bytes, int]]:
        known = self._sorted
        if len(known) < n_rows:
            fresh = ((encode_id(self._ids[row]), row) for row in range(len(known), n_rows))
            known = sorted([*known, *fresh])
            self._sorted = known
        start = 0 if after is None else bisect_right(known, (encode_id(after), n_rows))
        for place in range(start, len(known)):
            key, row = known[place]
            if row < n_rows:
                yield key, row

    def seqs(self, rows: Int64Array) -> np.ndarray:
        return self._seqs.view(self.n_rows)[rows]

    def payload(self, row: int) -> bytes | None:
        return self._payloads[row]

    def take_payloads(self, rows: Int64Array, empty: bytes | None = None) -> list[bytes | None]:
        payloads = self._payloads
        return [payloads[row] or empty for row in rows.tolist()]

    def vectors(self, name: str, n_rows: int) -> Rows:
        return self._rows[name].view(n_rows)

    def vector(self, name: str, row: int) -> StoredVector:
        return one_row(self.vectors(name, row + 1), row)

    def guard(self, kernels: Kernels, name: str) -> Kernels:
        return kernels

    def present(self, name: str, n_rows: int) -> Bitmap | None:
        if not self._missing[name]:
            return None
        return bitmaps.from_bools(self._present[name].view(n_rows))

    def field_index(self, key: str) -> FieldIndex | None:
        return self._indexes.get(key)

    def flat(self, name: str, n_rows: int) -> Index:
        if name in self._inverted:
            rows = self.vectors(name, n_rows)
            assert isinstance(rows, SparseRows)
            return self._inverted[name].at(rows)
        spec, norms = self._specs[name], self._norms.get(name)
        arrays = {} if norms is None else {"inverse_norms": norms.view(n_rows)}
        return flat_class(spec).from_arrays(spec, self.vectors(name, n_rows), arrays)

    def index(self, name: str) -> BuiltIndex | None:
        return None

    def tokens(self, name: str, n_rows: int) -> int:
        rows = self._rows[name]
        if self._specs[name].kind is not VectorKind.MULTI:
            return 0
        assert isinstance(rows, GrowingRagged)
        return rows.entries(n_rows)

    def work(self, name: str, n_rows: int) -> int:
        return weight_of(n_rows, self.tokens(name, n_rows))

    def dump(self, n_rows: int) -> dict[str, np.ndarray]:
        """The first `n_rows` rows as arrays for the builder (`build.py`), unsorted."""
        arrays = {**pack_ids(self._ids[:n_rows]), **pack_payloads(self._payloads[:n_rows])}
        arrays["seqs"] = self._seqs.view(n_rows)
        for name in self._specs:
            arrays.update(row_arrays(name, self.vectors(name, n_rows)))
            if self._missing[name]:
                arrays[f"present.{name}"] = self._present[name].view(n_rows)
            if name in self._norms:
                arrays[f"norms.{name}"] = self._norms[name].view(n_rows)
        return arrays
