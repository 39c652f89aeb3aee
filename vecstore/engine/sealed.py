"""A sealed segment: immutable columns mapped from the blobs on first use, rows ascending by id.

A column whose bytes are damaged is quarantined: what needs it raises Corruption, everything else goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np

from vecstore.engine import bitmaps
from vecstore.engine.header import Column, SegmentHeader
from vecstore.engine.ids import IdColumn
from vecstore.engine.structure import check_column
from vecstore.errors import Corruption
from vecstore.index.base import Candidates, Index
from vecstore.index.flat import BinaryFlatIndex, FlatIndex
from vecstore.kernels.base import Bitmap, Int64Array, Kernels
from vecstore.query.filter import PointId
from vecstore.query.payload_index import FieldIndex, open_field_index
from vecstore.schema import VectorField, VectorKind
from vecstore.storage.arrays import array_from_blob
from vecstore.storage.interfaces import Blobs


class SealedSegment:
    sorted_by_id = True

    def __init__(self, header: SegmentHeader, vectors: dict[str, VectorField], blobs: Blobs, uid: str) -> None:
        self.uid = uid
        self.header = header
        self.quarantined: dict[str, str] = {}  # column name -> what is wrong with it
        self._vectors = vectors
        self._blobs = blobs
        self._columns = {column.name: column for column in header.columns}
        self._arrays: dict[str, np.ndarray] = {}
        self._indexes: dict[str, Index] = {}
        self._fields: dict[str, FieldIndex] = {}
        self._present: dict[str, Bitmap | None] = {}
        self._lock = threading.RLock()
        self._ids: IdColumn | None = None

    def extend(self, header: SegmentHeader) -> None:
        """Take in payload indexes that were built since."""
        with self._lock:
            self.header = header
            self._columns = {column.name: column for column in header.columns}
            self._fields.clear()

    def column(self, name: str) -> np.ndarray:
        """The column's array. Raises Corruption for a quarantined one."""
        array = self._arrays.get(name)
        return array if array is not None else self._map(name)

    def _map(self, name: str) -> np.ndarray:
        with self._lock:
            if name in self.quarantined:
                raise Corruption(self.quarantined[name])
            try:
                array = self._open(self._columns[name])
            except Corruption as error:
                message = f"column {name!r} of segment {self.header.id} is damaged: {error.message}"
                self.quarantined[name] = message
                raise Corruption(message) from error
            self._arrays[name] = array
            return array

    def _open(self, column: Column) -> np.ndarray:
        array = array_from_blob(self._blobs.map(column.ref), column.dtype, column.shape)
        check_column(column.name, array, self.header)
        return array

    @property
    def ids(self) -> IdColumn:
        if self._ids is None:
            with self._lock:
                arrays = {name: self.column(name) for name in self._columns if name.startswith("ids.")}
                self._ids = IdColumn(arrays, self.header.n_rows)
        return self._ids

    def find(self, ids: Sequence[PointId], n_rows: int) -> Int64Array:
        return self.ids.find(ids)

    def take_ids(self, rows: Sequence[int] | Int64Array) -> list[PointId]:
        return self.ids.take(rows)

    def rows_after(self, after: PointId | None, n_rows: int) -> Iterator[tuple[bytes, int]]:
        ids = self.ids
        for row in range(ids.first_after(after), n_rows):
            yield ids.key(row), row

    def seqs(self, rows: Int64Array) -> np.ndarray:
        return self.column("seqs")[rows]

    def payload(self, row: int) -> bytes | None:
        offsets = self.column("payload.offsets")
        low, high = int(offsets[row]), int(offsets[row + 1])
        data = self.column("payload.bytes")
        if not low <= high <= len(data):
            raise Corruption(f"payload offsets of segment {self.header.id} leave the payload bytes")
        return data[low:high].tobytes() or None

    def vectors(self, name: str, n_rows: int) -> np.ndarray:
        return self.column(f"vector.{name}")

    def present(self, name: str, n_rows: int) -> Bitmap | None:
        column = f"present.{name}"
        if column not in self._columns:
            return None
        if name not in self._present:
            flags = self.column(column)
            self._present[name] = None if flags.all() else bitmaps.from_bools(flags)
        return self._present[name]

    def field_index(self, key: str) -> FieldIndex | None:
        index = self._fields.get(key)
        spec = self.header.fields.get(key)
        if index is None and spec is not None:
            with self._lock:
                try:
                    arrays = {name: self.column(column) for name, column in spec.arrays.items()}
                    index = open_field_index(key, spec.kind, arrays, self.header.n_rows)
                except Corruption as error:  # a payload index is derived data: the filter scans instead
                    self.quarantined.setdefault(f"field.{key}", error.message)
                    return None
                self._fields[key] = index
        return index

    def search(
        self, kernels: Kernels, name: str, queries: np.ndarray, k: int, allowed: Bitmap | None, n_rows: int
    ) -> Candidates:
        index = self._indexes.get(name)
        if index is None:
            spec = self._vectors[name]
            kind = BinaryFlatIndex if spec.kind is VectorKind.BINARY else FlatIndex
            norms = f"norms.{name}"
            arrays = {"inverse_norms": self.column(norms)} if norms in self._columns else {}
            index = self._indexes[name] = kind.from_arrays(spec, self.vectors(name, n_rows), arrays)
        return index.search(kernels, queries, k, allowed)
