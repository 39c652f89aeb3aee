"""Vector fields in an HDF5 file: matrices, sparse rows in a group of three data sets, texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from vecstore.client.vectors import as_rows
from vecstore.errors import InvalidArgument
from vecstore.io.layout import KIND_KEY, exported_dtype, sparse_field, text_field, vector_field_of
from vecstore.io.sparse_files import checked_offsets
from vecstore.rows import GivenRows, StoredVector, TextRows
from vecstore.schema import Metric, VectorField, VectorKind
from vecstore.sparse import SparseRows, SparseVector, sparse_rows

CHUNK = 1024  # rows of a chunk that is written
PARTS = (("offsets", "indptr"), ("indices",), ("values", "data"))  # names written here, and scipy's
NO_ENTRIES = SparseVector(np.empty(0, np.uint32), np.empty(0, np.float32))


class Column(Protocol):
    """A vector field to read. `chunk` is the number of rows that the file unpacks at once."""

    row_bytes: int
    chunk: int

    def __len__(self) -> int: ...
    def field(self, metric: Metric | None) -> VectorField: ...
    def rows(self, block: slice, field: VectorField | None, name: str) -> GivenRows: ...


class MatrixColumn:
    def __init__(self, path: object, name: str, data: Any) -> None:
        if data.ndim != 2 or data.dtype.kind not in "fiub":
            raise InvalidArgument(f"{path}: data set {name!r} is not a matrix of numbers", reason="BAD_COLUMN")
        self._data = data
        self.row_bytes = data.shape[1] * data.dtype.itemsize
        self.chunk = data.chunks[0] if data.chunks else 1

    def __len__(self) -> int:
        return len(self._data)

    def field(self, metric: Metric | None) -> VectorField:
        field = vector_field_of(self._data.dtype, self._data.shape[1])
        if metric is None or field.metric is Metric.HAMMING:
            return field
        return VectorField(field.kind, field.dim, metric)

    def rows(self, block: slice, field: VectorField | None, name: str) -> GivenRows:
        rows: np.ndarray = self._data[block]
        return rows if field is None or field.is_ragged else as_rows(rows, field, name)


def sparse_parts(group: Any) -> list[Any] | None:
    """Offsets, indices and values of a group of sparse rows; None when it is not one."""
    found = [next((name for name in names if name in group), None) for names in PARTS]
    parts = [group[name] for name in found if name is not None]
    return parts if len(parts) == len(PARTS) and all(hasattr(part, "dtype") for part in parts) else None


class SparseColumn:
    """Raises InvalidArgument (BAD_FILE, BAD_COLUMN) when the group's parts are no sparse rows. Offsets are held."""

    chunk = 1

    def __init__(self, path: object, name: str, group: Any) -> None:
        offsets, self._indices, self._values = sparse_parts(group) or []
        kinds = [part.dtype.kind for part in (offsets, self._indices, self._values)]
        if kinds[0] not in "iu" or kinds[1] not in "iu" or kinds[2] not in "fiu":
            raise InvalidArgument(f"{path}: group {name!r} does not hold sparse rows of numbers", reason="BAD_COLUMN")
        shapes = [part.shape for part in (offsets, self._indices, self._values)]
        if any(len(shape) != 1 for shape in shapes) or shapes[1] != shapes[2]:
            raise InvalidArgument(f"{path}: the parts of {name!r} have shapes {shapes}", reason="BAD_FILE")
        self._offsets = checked_offsets(path, offsets[:], len(self._indices))
        self._is_text = group.attrs.get(KIND_KEY) == VectorKind.TEXT
        self.row_bytes = int(8 * self._offsets[-1]) // max(1, len(self)) + 8  # on average

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def field(self, metric: Metric | None) -> VectorField:
        return text_field() if self._is_text else sparse_field()

    def rows(self, block: slice, field: VectorField | None, name: str) -> GivenRows:
        offsets = self._offsets[block.start : block.stop + 1]
        run = slice(int(offsets[0]), int(offsets[-1]))
        return SparseRows(offsets - offsets[0], self._indices[run], self._values[run])


class TextColumn:
    row_bytes = 1024  # no more than a guess
    chunk = 1

    def __init__(self, path: object, name: str, data: Any) -> None:
        if data.ndim != 1 or data.dtype.kind not in "OS":
            raise InvalidArgument(f"{path}: data set {name!r} does not hold texts", reason="BAD_COLUMN")
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def field(self, metric: Metric | None) -> VectorField:
        return text_field()

    def rows(self, block: slice, field: VectorField | None, name: str) -> GivenRows:
        return TextRows(plain_values(self._data, block))


def plain_values(data: Any, block: slice) -> list[Any]:
    """Numbers and text of a one-dimensional data set as Python values."""
    values = data.asstr()[block] if data.dtype.kind == "O" else data[block]
    listed: list[Any] = values.tolist()
    return [one.decode() if isinstance(one, bytes) else one for one in listed]


class MatrixWriter:
    """Vectors of one width; zeros where there is none."""

    def __init__(self, file: Any, name: str, field: VectorField) -> None:
        self._width, self._dtype = field.storage_width, exported_dtype(field)
        self._data = growing(file, name, (self._width,), self._dtype)

    def write(self, vectors: Sequence[StoredVector | None]) -> None:
        rows = np.zeros((len(vectors), self._width), dtype=self._dtype)
        for place, row in enumerate(vectors):
            if row is not None:
                rows[place] = row
        append(self._data, rows)


class SparseWriter:
    """Sparse rows; empty where there is none."""

    def __init__(self, file: Any, name: str, field: VectorField) -> None:
        group = file.create_group(name)
        group.attrs[KIND_KEY] = field.kind.value
        dtypes = {"offsets": np.int64, "indices": np.uint32, "values": np.float32}
        self._sets = {name: growing(group, name, (), np.dtype(dtype)) for name, dtype in dtypes.items()}
        append(self._sets["offsets"], np.zeros(1, np.int64))
        self._nnz = 0

    def write(self, vectors: Sequence[StoredVector | None]) -> None:
        rows = sparse_rows([one if isinstance(one, SparseVector) else NO_ENTRIES for one in vectors])
        append(self._sets["indices"], rows.indices)
        append(self._sets["values"], rows.values)
        append(self._sets["offsets"], rows.offsets[1:] + self._nnz)
        self._nnz += rows.nnz


def growing(file: Any, name: str, row: tuple[int, ...], dtype: Any) -> Any:
    return file.create_dataset(name, (0, *row), maxshape=(None, *row), dtype=dtype, chunks=(CHUNK, *row))


def append(data: Any, values: Any) -> None:
    start = len(data)
    data.resize(start + len(values), axis=0)
    data[start:] = values
