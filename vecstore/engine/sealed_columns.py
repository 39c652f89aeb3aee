"""The columns of a sealed segment: immutable, mapped from the blobs and verified on first use.

A column whose bytes are damaged is quarantined: what needs it raises Corruption, everything else goes on.
"""

from __future__ import annotations

import contextlib
import threading
import weakref

import numpy as np

from vecstore.engine.guard import CheckedRows
from vecstore.engine.header import Column, SegmentHeader, is_derived
from vecstore.engine.structure import check_column
from vecstore.errors import Corruption
from vecstore.schema import VectorField
from vecstore.storage.arrays import array_from_blob
from vecstore.storage.interfaces import Blobs


def is_dense(column: str) -> bool:
    """Whether a column holds the rows of a dense or binary field, which are checked as they are read."""
    return column.startswith("vector.") and column.count(".") == 1


class SealedColumns:
    def __init__(self, header: SegmentHeader, vectors: dict[str, VectorField], blobs: Blobs) -> None:
        self.header = header
        self.quarantined: dict[str, str] = {}  # column name -> what is wrong with it
        self._vectors = vectors
        self._blobs = blobs
        self._columns = {column.name: column for column in header.columns}
        self._arrays: dict[str, np.ndarray] = {}  # columns that are mapped and verified
        self._rows: dict[str, CheckedRows] = {}  # vector fields that are read by rows
        self._lock = threading.RLock()

    def field(self, name: str) -> VectorField:
        return self._vectors[name]

    @property
    def data_damaged(self) -> bool:
        """Whether something is damaged that cannot be built again."""
        return any(not is_derived(name) for name in self.quarantined)

    def column(self, name: str) -> np.ndarray:
        """The column's array. Raises Corruption for a quarantined one."""
        array = self._arrays.get(name)
        return array if array is not None else self._map(name)

    def _map(self, name: str) -> np.ndarray:
        with self._lock:
            if name in self._arrays:
                return self._arrays[name]
            if name in self.quarantined:
                raise Corruption(self.quarantined[name])
            if is_dense(name):
                checked = self.rows(name.removeprefix("vector."))
                checked.check_all()
                self._arrays[name] = checked.rows
                return checked.rows
            try:
                array = self._open(self._columns[name])
            except Corruption as error:
                raise self._quarantine(name, error) from error
            self._arrays[name] = array
            return array

    def _open(self, column: Column) -> np.ndarray:
        array = array_from_blob(self._blobs.map(column.ref), column.dtype, column.shape)
        check_column(column.name, array, self.header)
        return array

    def rows(self, name: str) -> CheckedRows:
        """The stored vectors of a field, to be checked before they are read. Raises Corruption."""
        checked = self._rows.get(name)
        if checked is None:
            with self._lock:
                checked = self._rows.get(name) or self._open_rows(f"vector.{name}")
                self._rows[name] = checked
        return checked

    def _open_rows(self, name: str) -> CheckedRows:
        if name in self.quarantined:
            raise Corruption(self.quarantined[name])
        column = self._columns[name]
        try:
            blob = self._blobs.map_checked(column.ref)
            array = array_from_blob(blob.content, column.dtype, column.shape)
        except Corruption as error:
            raise self._quarantine(name, error) from error
        own = weakref.ref(self)  # the segment holds the rows: a cycle would keep dropped files until a collection

        def on_damage(error: Corruption) -> Corruption:
            segment = own()
            return error if segment is None else segment._quarantine(name, error)

        return CheckedRows(blob, array, on_damage)

    def hold(self) -> None:
        """Map what is not derived and not mapped yet, for readers of older views that come after the blobs are gone.

        A reader may have found a column unmapped before this and get the lock only once the blobs are gone: whoever
        takes the lock looks again at what it guards."""
        for column in self.header.data_columns:
            with contextlib.suppress(Corruption):  # it would have been so for them as well
                if is_dense(column.name):
                    self.rows(column.name.removeprefix("vector."))
                else:
                    self.column(column.name)

    def _quarantine(self, name: str, error: Corruption) -> Corruption:
        message = f"column {name!r} of segment {self.header.id} is damaged: {error.message}"
        self.quarantined[name] = message
        return Corruption(message)
