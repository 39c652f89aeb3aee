"""A vector field's rows as named arrays, in log records and segments alike, and back (docs/FORMAT.md).

Dense and binary rows are one array, `vector.NAME`; those of sparse and text fields are three, `vector.NAME.offsets`,
`.indices` and `.values`, or in sealed segments those of packed rows; those of multi-vectors two, `.offsets` and
`.tokens`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vecstore import validate
from vecstore.errors import Corruption
from vecstore.packed_sparse import ARRAYS as PACKED_ARRAYS
from vecstore.packed_sparse import PackedRows
from vecstore.rows import HeldRows, RaggedRows, Rows, StoredVector, TextRows
from vecstore.schema import VectorField, VectorKind
from vecstore.sparse import SparseRows, SparseVector
from vecstore.tokens import TokenRows

INDEX_DTYPE = np.dtype(np.uint32)
OFFSET_DTYPE = np.dtype(np.int64)
U1, U2, U4, HALF = (np.dtype(code).str for code in ("u1", "<u2", "<u4", "<f2"))


def parts(field: VectorField) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    """What the offsets of a ragged field's rows cut into rows: dtype and shape of an entry, by the part's name."""
    if field.is_sparse:
        return {"indices": (INDEX_DTYPE, ()), "values": (field.storage_dtype, ())}
    return {"tokens": (field.storage_dtype, (field.dim,))}


def column_names(name: str, field: VectorField) -> list[str]:
    """The columns that may hold the rows of vector field `name`, in either form of sparse rows."""
    if not field.is_ragged:
        return [f"vector.{name}"]
    every = dict.fromkeys(("offsets", *parts(field), *(PACKED_ARRAYS if field.is_sparse else ())))
    return [f"vector.{name}.{part}" for part in every]


def packed_parts(field: VectorField) -> dict[str, tuple[str, ...]]:
    """The dtypes that the arrays of packed rows may have, by part, other than `offsets`."""
    narrow = dict.fromkeys((U1, HALF, field.storage_dtype.str))
    return {"terms": (U4,), "flags": (U1,), "lows": (U1,), "starts": (U4,), "highs": (U1, U2), "values": tuple(narrow)}


def row_arrays(name: str, rows: Rows | TextRows) -> dict[str, np.ndarray]:
    if isinstance(rows, np.ndarray):
        return {f"vector.{name}": rows}
    assert not isinstance(rows, TextRows)
    return {f"vector.{name}.{part}": array for part, array in rows.arrays().items()}


def rows_from(name: str, field: VectorField, arrays: Mapping[str, np.ndarray]) -> Rows:
    """Rows that are not packed. Raises KeyError for a missing array."""
    if not field.is_ragged:
        return arrays[f"vector.{name}"]
    return ragged_from(field, {part: arrays[f"vector.{name}.{part}"] for part in ("offsets", *parts(field))})


def held_rows(name: str, field: VectorField, arrays: Mapping[str, np.ndarray]) -> HeldRows:
    """Rows of a segment, packed or not. Raises Corruption for packed ones whose arrays do not fit together."""
    if f"vector.{name}.terms" not in arrays or not field.is_sparse:
        return rows_from(name, field, arrays)
    packed = {part: arrays[f"vector.{name}.{part}"] for part in PACKED_ARRAYS}
    try:
        return PackedRows.from_arrays(packed, field.storage_dtype)
    except ValueError as error:
        raise Corruption(str(error)) from None


def ragged_from(field: VectorField, arrays: Mapping[str, np.ndarray]) -> RaggedRows:
    """From the arrays by the names of `parts`, and offsets."""
    return SparseRows.from_arrays(arrays) if field.is_sparse else TokenRows.from_arrays(arrays)


def empty_rows(field: VectorField, count: int) -> Rows:
    """What is stored for points without the vector."""
    if field.is_sparse:
        return SparseRows.empty(count, field.storage_dtype)
    if field.kind is VectorKind.MULTI:
        return TokenRows.empty(count, field.dim, field.storage_dtype)
    return np.zeros((count, field.storage_width), dtype=field.storage_dtype)


def as_matrix(rows: HeldRows, numbers: np.ndarray, field: VectorField) -> np.ndarray:
    """The listed rows of a dense field as float32."""
    assert isinstance(rows, np.ndarray)
    return validate.widen(rows[numbers], field)


def one_row(rows: HeldRows, row: int) -> StoredVector:
    """A copy of one stored vector."""
    if isinstance(rows, np.ndarray):
        return np.array(rows[row])
    one = rows.row(row)
    if isinstance(one, TokenRows):
        return np.array(one.tokens)
    return SparseVector(np.array(one.indices), np.array(one.values, dtype=np.float32))


def check_stored(rows: HeldRows, count: int, field: VectorField) -> None:
    """Raises Corruption when rows that were stored are not what the field stores, or would lead outside."""
    if isinstance(rows, np.ndarray):
        if rows.dtype != field.storage_dtype or rows.shape != (count, field.storage_width):
            raise Corruption(f"its rows are {rows.dtype} of shape {rows.shape}")
        return
    if rows.offsets.dtype != OFFSET_DTYPE or rows.offsets.shape != (count + 1,):
        raise Corruption(f"its offsets are {rows.offsets.dtype} of shape {rows.offsets.shape} for {count} rows")
    if isinstance(rows, PackedRows):
        return  # they were checked when they were made
    ends = int(rows.offsets[-1])
    check_offsets(rows.offsets, ends)
    arrays = rows.arrays()
    for part, (dtype, tail) in parts(field).items():
        if arrays[part].dtype != dtype or arrays[part].shape != (ends, *tail):
            raise Corruption(f"its {part} are {arrays[part].dtype} of shape {arrays[part].shape} for {ends} entries")
    if isinstance(rows, SparseRows) and ends:
        _check_ascending(rows)


def _check_ascending(rows: SparseRows) -> None:
    rises = rows.indices[1:] > rows.indices[:-1]
    starts = rows.offsets[1:-1]
    rises[starts[(starts > 0) & (starts < len(rows.indices))] - 1] = True
    if not rises.all():
        raise Corruption("the indices of a row do not ascend")


def check_offsets(offsets: np.ndarray, end: int) -> None:
    """Raises Corruption unless they rise from 0 to `end`."""
    if int(offsets[0]) != 0 or int(offsets[-1]) != end or (offsets[1:] < offsets[:-1]).any():
        raise Corruption(f"its offsets do not rise from 0 to {end}")
