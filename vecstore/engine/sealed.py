"""A sealed segment: rows ascending by id, read from its columns, and the indexes of them.

A vector index is derived data: while it is missing or damaged, the stored vectors are scanned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import msgspec
import numpy as np

from vecstore.engine import bitmaps
from vecstore.engine.guard import guarded
from vecstore.engine.header import IndexColumns, SegmentHeader
from vecstore.engine.ids import IdColumn
from vecstore.engine.placement import Placement
from vecstore.engine.row_columns import check_stored, column_names, held_rows, one_row
from vecstore.engine.sealed_columns import SealedColumns
from vecstore.errors import Corruption, Unimplemented
from vecstore.index.base import BuiltIndex, Index
from vecstore.index.registry import built_index, flat_class
from vecstore.index_spec import Index as IndexSpec
from vecstore.kernels.base import Bitmap, Int64Array, Kernels
from vecstore.kernels.cut_rows import cut_rows
from vecstore.kernels.stop import unstoppable
from vecstore.query.filter import PointId
from vecstore.query.payload_index import FieldIndex, open_field_index
from vecstore.rows import HeldRows, StoredRagged, StoredVector
from vecstore.schema import VectorField, weight_of
from vecstore.storage.interfaces import Blobs

CODES_SHARE = 8  # scanning codes costs at most such a part of scanning the stored vectors


@dataclass(frozen=True, slots=True)
class Refused:
    """A vector index that is not built, and why; it is tried again when the schema changes or at the next open."""

    spec: IndexSpec
    why: str
    cancelled: bool = False


class SealedSegment(SealedColumns):
    sorted_by_id = True

    def __init__(
        self,
        header: SegmentHeader,
        vectors: dict[str, VectorField],
        blobs: Blobs,
        uid: str,
        on_damage: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_damage` is called when an index turns out to be damaged, so that it is built again."""
        super().__init__(header, vectors, blobs)
        self.uid = uid
        self.refused: dict[str, Refused] = {}  # vector field -> the spec that could not be built
        self._on_damage = on_damage
        self._ragged_rows: dict[str, StoredRagged] = {}
        self._flat: dict[str, Index] = {}
        self._built: dict[str, BuiltIndex] = {}
        self._fields: dict[str, FieldIndex] = {}
        self._present: dict[str, Bitmap | None] = {}
        self._ids: IdColumn | None = None
        self.pins: list[object] = []  # what keeps columns mapped that are not read yet

    def extend(self, header: SegmentHeader, opened: Mapping[str, BuiltIndex] = MappingProxyType({})) -> None:
        """Take in payload and vector indexes that were built since, and let go of those that are gone. `opened` are
        vector indexes of `header` that are open already."""
        with self._lock:
            changed = {name for name, entry in self.header.indexes.items() if header.indexes.get(name) != entry}
            columns = {column.name: column for column in header.columns}
            for name in self._columns.keys() - columns.keys():
                self._arrays.pop(name, None)
                self.quarantined.pop(name, None)
            for name in changed | opened.keys():
                self._built.pop(name, None)
                self.quarantined.pop(f"index.{name}", None)
                self._flat.pop(name, None)
            for name in changed - header.indexes.keys():
                if not self._vectors[name].is_ragged:
                    self.rows(name).expect(few=False)
            self.header, self._columns = header, columns
            self._built.update(opened)
            self._fields.clear()

    def take_fields(self, vectors: dict[str, VectorField]) -> None:
        """Settings of the vector fields that may change: where they are searched. What is stored stays as it is."""
        self._vectors = vectors

    def lose(self, name: str, why: Corruption) -> None:
        """Set a column aside that another process found damaged, here as there; an index is then built again."""
        with self._lock:
            for field, entry in self.header.indexes.items():
                if name in entry.arrays.values():
                    self._built.pop(field, None)
                    self.quarantined[f"index.{field}"] = why.message
                    self._on_damage()
                    return
            for key, spec in self.header.fields.items():
                if name in spec.arrays.values():
                    self._fields.pop(key, None)
                    self.quarantined[f"field.{key}"] = why.message
                    return
            self._quarantine(name, why)

    def _by_rows(self, name: str) -> bool:
        """Whether the stored vectors are checked as kernels read them, for an index that reads them in no other way."""
        entry = self.header.indexes.get(name)
        try:
            return entry is not None and built_index(entry.spec).reads_by_kernels
        except Unimplemented:
            return False

    def guard(self, kernels: Kernels, name: str) -> Kernels:
        """Kernels for searching a field of this segment."""
        device = self._vectors[name].device
        if device is not None and isinstance(kernels, Placement):
            kernels = kernels.kernels(device, self.uid)
        checked = self._rows.get(name)
        if checked is None or checked.free:
            return kernels
        return guarded(kernels, checked)

    def index(self, name: str) -> BuiltIndex | None:
        """The built index of a vector field; None while there is none, or a damaged one."""
        index = self._built.get(name)
        if index is not None or name not in self.header.indexes or f"index.{name}" in self.quarantined:
            return index
        with self._lock:
            index = self._built.get(name)
            entry = self.header.indexes.get(name)  # not one that `extend` took away meanwhile
            if index is not None or entry is None or f"index.{name}" in self.quarantined:
                return index
            try:
                with unstoppable():
                    index = self._built[name] = self._open_index(name, entry)
            except (Corruption, Unimplemented) as error:
                self.quarantined[f"index.{name}"] = error.message
        if index is None:
            self._on_damage()
        return index

    def opened(self, name: str) -> BuiltIndex | None:
        """The built index of a vector field where a search has opened it."""
        return self._built.get(name)

    def tokens(self, name: str, n_rows: int) -> int:
        column = self._columns.get(f"vector.{name}.tokens")
        return 0 if column is None else column.shape[0]

    def work(self, name: str, n_rows: int) -> int:
        rows = weight_of(n_rows, self.tokens(name, n_rows))
        return rows // CODES_SHARE if name in self._built else rows

    def _open_index(self, name: str, entry: IndexColumns) -> BuiltIndex:
        field = msgspec.structs.replace(self._vectors[name], index=entry.spec)
        arrays = {array: self.column(column) for array, column in entry.arrays.items()}
        if field.is_ragged:
            return built_index(entry.spec).from_arrays(field, self._ragged(name), arrays)
        by_rows = self._by_rows(name)
        rows = self.rows(name).rows if by_rows else self.column(f"vector.{name}")
        index = built_index(entry.spec).from_arrays(field, rows, arrays | self._norms(name))
        self.rows(name).expect(few=by_rows and index.code_bytes > 0)
        return index

    def open_built(self, header: SegmentHeader) -> dict[str, BuiltIndex]:
        """The indexes of a header that this segment is about to take in. Raises Corruption."""
        other = SealedSegment(self.header.extended(header), self._vectors, self._blobs, self.uid)
        other._arrays.update(self._arrays)
        other._rows = self._rows
        return {name: other._open_index(name, entry) for name, entry in header.indexes.items()}

    def _norms(self, name: str) -> dict[str, np.ndarray]:
        column = f"norms.{name}"
        return {"inverse_norms": self.column(column)} if column in self._columns else {}

    @property
    def ids(self) -> IdColumn:
        if self._ids is None:
            with self._lock:
                arrays = {name: self.column(name) for name in self._columns if name.startswith("ids.")}
                self._ids = IdColumn(arrays, self.header.n_rows)
        return self._ids

    def find(self, ids: Sequence[PointId], n_rows: int) -> Int64Array:
        return self.ids.find(ids)

    def take_ids(self, rows: Int64Array) -> np.ndarray:
        ids = self._ids
        return (self.ids if ids is None else ids).take(rows)

    def rows_after(self, after: PointId | None, n_rows: int) -> Iterator[tuple[bytes, int]]:
        ids = self.ids
        for row in range(ids.first_after(after), n_rows):
            yield ids.key(row), row

    def seqs(self, rows: Int64Array) -> np.ndarray:
        seqs = self._arrays.get("seqs")
        return (self._map("seqs") if seqs is None else seqs)[rows]

    @property
    def payload_bytes(self) -> int:
        return sum(column.ref.length for column in self.header.columns if column.name == "payload.bytes")

    def payload(self, row: int) -> bytes | None:
        offsets, content = self.column("payload.offsets"), self.column("payload.bytes").data
        # `check_column` has seen to the offsets.
        return bytes(content[int(offsets[row]) : int(offsets[row + 1])]) or None

    def take_payloads(self, rows: Int64Array, empty: bytes | None = None) -> list[bytes | None]:
        return cut_rows(self.column("payload.bytes"), self.column("payload.offsets"), rows, empty)

    def vectors(self, name: str, n_rows: int) -> HeldRows:
        return self._ragged(name) if self._vectors[name].is_ragged else self.column(f"vector.{name}")

    def _ragged(self, name: str) -> StoredRagged:
        rows = self._ragged_rows.get(name)
        if rows is None:
            field = self._vectors[name]
            names = [column for column in column_names(name, field) if column in self._columns]
            arrays = {column: self.column(column) for column in names}
            try:
                found = held_rows(name, field, arrays)
                check_stored(found, self.header.n_rows, field)
            except Corruption as error:
                raise self._quarantine(f"vector.{name}.offsets", error) from error
            assert not isinstance(found, np.ndarray)
            rows = self._ragged_rows[name] = found
        return rows

    def vector(self, name: str, row: int) -> StoredVector:
        if self._vectors[name].is_ragged:
            return one_row(self._ragged(name), row)
        checked = self.rows(name)
        checked.check_rows(np.array([row]))
        return np.array(checked.rows[row])

    def present(self, name: str, n_rows: int) -> Bitmap | None:
        try:
            return self._present[name]
        except KeyError:
            column = f"present.{name}"
            flags = self.column(column) if column in self._columns else None
            present = None if flags is None or flags.all() else bitmaps.from_bools(flags)
            return self._present.setdefault(name, present)

    def field_index(self, key: str) -> FieldIndex | None:
        index = self._fields.get(key)
        if index is not None or key not in self.header.fields:
            return index
        with self._lock:
            index = self._fields.get(key)
            spec = self.header.fields[key]  # `extend` may give another, but takes none away
            if index is None:
                try:
                    arrays = {name: self.column(column) for name, column in spec.arrays.items()}
                    index = open_field_index(key, spec.kind, arrays, self.header.n_rows)
                except Corruption as error:  # a payload index is derived data: the filter scans instead
                    self.quarantined.setdefault(f"field.{key}", error.message)
                    return None
                self._fields[key] = index
        return index

    def flat(self, name: str, n_rows: int) -> Index:
        index = self._flat.get(name)
        if index is None:
            spec = self._vectors[name]
            by_rows = not spec.is_ragged and self._by_rows(name)
            rows = self.rows(name).rows if by_rows else self.vectors(name, n_rows)
            index = self._flat[name] = flat_class(spec).from_arrays(spec, rows, self._norms(name))
        return index
