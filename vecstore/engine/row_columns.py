"""A vector field's rows as named arrays, in log records and segments alike, and back (docs/FORMAT.md).

Dense and binary rows are one array, `vector.NAME`; those of sparse and text fields are three, `vector.NAME.offsets`,
`.indices` and `.values`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vecstore.errors import Corruption
from vecstore.schema import VectorField
from vecstore.sparse import Rows, SparseRows, SparseVector, StoredVector, TextRows

PARTS = ("offsets", "indices", "values")
INDEX_DTYPE = np.dtype(np.uint32)
OFFSET_DTYPE = np.dtype(np.int64)


def column_names(name: str, field: VectorField) -> list[str]:
    """The columns that hold the rows of vector field `name`."""
    return [f"vector.{name}.{part}" for part in PARTS] if field.is_sparse else [f"vector.{name}"]


def row_arrays(name: str, rows: Rows | TextRows) -> dict[str, np.ndarray]:
    if isinstance(rows, SparseRows):
        return {f"vector.{name}.{part}": array for part, array in rows.arrays().items()}
    assert isinstance(rows, np.ndarray)
    return {f"vector.{name}": rows}


def rows_from(name: str, field: VectorField, arrays: Mapping[str, np.ndarray]) -> Rows:
    """Raises KeyError for a missing array."""
    if field.is_sparse:
        return SparseRows.from_arrays({part: arrays[f"vector.{name}.{part}"] for part in PARTS})
    return arrays[f"vector.{name}"]


def empty_rows(field: VectorField, count: int) -> Rows:
    """What is stored for points without the vector."""
    if field.is_sparse:
        return SparseRows.empty(count, field.storage_dtype)
    return np.zeros((count, field.storage_width), dtype=field.storage_dtype)


def one_row(rows: Rows, row: int) -> StoredVector:
    """A copy of one stored vector."""
    if isinstance(rows, np.ndarray):
        return np.array(rows[row])
    one = rows[row : row + 1]
    return SparseVector(np.array(one.indices), np.array(one.values, dtype=np.float32))


def check_stored(rows: Rows, count: int, field: VectorField) -> None:
    """Raises Corruption when rows that were stored are not what the field stores, or would lead outside."""
    if isinstance(rows, np.ndarray):
        if rows.dtype != field.storage_dtype or rows.shape != (count, field.storage_width):
            raise Corruption(f"its rows are {rows.dtype} of shape {rows.shape}")
        return
    dtypes = (rows.offsets.dtype, rows.indices.dtype, rows.values.dtype)
    if dtypes != (OFFSET_DTYPE, INDEX_DTYPE, field.storage_dtype):
        raise Corruption(f"its offsets, indices and values are {', '.join(map(str, dtypes))}")
    if rows.offsets.shape != (count + 1,) or rows.indices.ndim != 1 or rows.values.shape != rows.indices.shape:
        shapes = (rows.offsets.shape, rows.indices.shape, rows.values.shape)
        raise Corruption(f"its offsets, indices and values have shapes {shapes} for {count} rows")
    check_offsets(rows.offsets, len(rows.indices))
    if len(rows.indices):
        rises = rows.indices[1:] > rows.indices[:-1]
        starts = rows.offsets[1:-1]
        rises[starts[(starts > 0) & (starts < len(rows.indices))] - 1] = True
        if not rises.all():
            raise Corruption("the indices of a row do not ascend")


def check_offsets(offsets: np.ndarray, end: int) -> None:
    """Raises Corruption unless they rise from 0 to `end`."""
    if int(offsets[0]) != 0 or int(offsets[-1]) != end or (offsets[1:] < offsets[:-1]).any():
        raise Corruption(f"its offsets do not rise from 0 to {end}")
