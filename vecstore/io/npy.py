"""A numpy array: one vector field, ids beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format

from vecstore.client.vectors import as_rows
from vecstore.errors import InvalidArgument
from vecstore.io.layout import IdKinds, exported_dtype, multi_field, number_ids, vector_field_of
from vecstore.io.mapping import READ_BYTES, ColumnMapping
from vecstore.io.token_columns import sendable_tokens
from vecstore.rows import GivenRows
from vecstore.schema import Schema, VectorField, VectorKind
from vecstore.tokens import TokenRows
from vecstore.types import Point, PointBatch, VectorBatch

DEFAULT_FIELD = "default"


def ids_path(path: Path) -> Path:
    """Where the ids of a matrix stand: `name.ids.npy` beside `name.npy`."""
    return path.with_suffix(".ids.npy")


def ids_of_rows(path: Path, rows: int) -> np.ndarray | None:
    """The ids that stand beside a matrix. Raises InvalidArgument (BAD_FILE) unless there is one for each row."""
    if not ids_path(path).is_file():
        return None
    ids = _load(ids_path(path))
    if ids.shape != (rows,):
        raise InvalidArgument(f"{ids_path(path)} has shape {ids.shape} for {rows} rows", reason="BAD_FILE")
    return ids


class NpySource:
    """Reads an array of shape (n, dim), or (n, tokens, dim) of multi-vectors, mapped and not loaded; ids from
    `name.ids.npy` when there is one, else row numbers. Of matrices, floats make a dense field, uint8 (packed) and bool
    a binary one."""

    def __init__(self, path: Path, mapping: ColumnMapping) -> None:
        self.path = path
        self._matrix = _load(path)
        if self._matrix.ndim not in (2, 3) or (self._matrix.ndim == 3 and self._matrix.dtype.kind not in "fiu"):
            what = f"{self._matrix.dtype} of shape {self._matrix.shape}, not (n, dim) or (n, tokens, dim) of numbers"
            raise InvalidArgument(f"{path} holds {what}", reason="BAD_FILE")
        if len(mapping.vectors) > 1 or mapping.texts or mapping.payload or mapping.id_column:
            raise InvalidArgument(f"{path} holds one vector field and no other column", reason="BAD_COLUMN")
        self.total: int | None = len(self._matrix)
        self._name = next(iter(mapping.vectors), None)
        self._ids = ids_of_rows(path, len(self._matrix))

    def fields(self) -> dict[str, VectorField]:
        made = multi_field if self._matrix.ndim == 3 else vector_field_of
        return {self._name or DEFAULT_FIELD: made(self._matrix.dtype, self._matrix.shape[-1])}

    def batches(self, schema: Schema) -> Iterator[PointBatch]:
        name = self._name or (next(iter(schema.vectors)) if len(schema.vectors) == 1 else DEFAULT_FIELD)
        step = max(1, READ_BYTES // max(1, math.prod(self._matrix.shape[1:]) * self._matrix.itemsize))
        for start in range(0, len(self._matrix), step):
            rows = np.array(self._matrix[start : start + step])
            ids = self._ids[start : start + step].tolist() if self._ids is not None else number_ids(start, len(rows))
            field = schema.vectors.get(name)
            if rows.ndim == 3:
                offsets = np.arange(len(rows) + 1, dtype=np.int64) * rows.shape[1]
                given: GivenRows = sendable_tokens(TokenRows(offsets, rows.reshape(-1, rows.shape[2])), field)
            else:
                given = rows if field is None else as_rows(rows, field, name)
            yield PointBatch(ids=ids, vectors={name: VectorBatch(given)})


class NpySink:
    """Writes one field's vectors as a matrix and the ids of those points to `name.ids.npy`."""

    def __init__(self, path: Path, fields: dict[str, VectorField], kinds: IdKinds) -> None:
        if len(fields) != 1:
            names = ", ".join(sorted(fields))
            raise InvalidArgument(f".npy holds one vector field, name one of: {names}", reason="BAD_COLUMN")
        if len(kinds) > 1:
            message = f"ids of kinds {', '.join(kinds)} do not fit one array; export to .parquet or .jsonl"
            raise InvalidArgument(message, reason="BAD_FILE")
        self._name, field = next(iter(fields.items()))
        if field.is_ragged:
            kind = "a multi-vector" if field.kind is VectorKind.MULTI else field.kind
            message = f".npy holds a matrix, and {self._name!r} is {kind}; export to .parquet, .jsonl or .hdf5"
            raise InvalidArgument(message, reason="BAD_COLUMN")
        self._dtype = exported_dtype(field)
        self._width = field.storage_width
        self._file = path.open("w+b")
        self._rows = 0
        self._ids_path = ids_path(path)
        self._ids: list[object] = []
        self._header()

    def _header(self) -> None:
        """The header has the same length for any number of rows: numpy pads it so that an array can grow."""
        self._file.seek(0)
        shape = (self._rows, self._width)
        npy_format.write_array_header_1_0(
            self._file, {"descr": npy_format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        )

    def write(self, points: Sequence[Point]) -> None:
        for point in points:
            row = (point.vectors or {}).get(self._name)
            if row is not None:
                self._file.write(np.ascontiguousarray(row, dtype=self._dtype).tobytes())
                self._ids.append(point.id)
                self._rows += 1

    def close(self) -> None:
        self._header()
        self._file.close()
        numbers = all(isinstance(one, int) for one in self._ids)
        ids = self._ids if numbers else [str(one) for one in self._ids]
        np.save(self._ids_path, np.array(ids, dtype=np.uint64 if numbers else np.str_))


def _load(path: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, mmap_mode="r")  # numpy refuses arrays of objects unless told otherwise
        return array
    except (ValueError, EOFError, OSError) as error:
        raise InvalidArgument(f"{path} is not a numpy array: {error}", reason="BAD_FILE") from None
