"""Arrow columns of sparse vectors to rows and back, whole columns at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from vecstore.io.arrow_lists import is_number, lengths_of
from vecstore.io.mapping import bad_row
from vecstore.sparse import SparseRows, SparseVector, sparse_rows

INDICES, VALUES = "indices", "values"
COLUMN_TYPE = pa.struct([(INDICES, pa.list_(pa.uint32())), (VALUES, pa.list_(pa.float32()))])


def is_sparse_type(kind: Any) -> bool:
    """Whether a column of this type can only be sparse vectors: structs of the lists `indices` and `values`, or maps
    from integers to numbers."""
    if pa.types.is_map(kind):
        return bool(pa.types.is_integer(kind.key_type) and is_number(kind.item_type))
    if not pa.types.is_struct(kind) or {one.name for one in kind} != {INDICES, VALUES}:
        return False
    indices, values = kind.field(INDICES).type, kind.field(VALUES).type
    lists = (_is_list(indices), _is_list(values))
    return all(lists) and pa.types.is_integer(indices.value_type) and is_number(values.value_type)


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def sparse_rows_of(array: Any, column: str, path: object, start: int) -> tuple[SparseRows, np.ndarray | None]:
    """Rows of a column, with indices and values in its own dtypes, and which are not null (None: all).

    Raises InvalidArgument (BAD_ROW) naming the first row whose parts differ in length or hold a null; `start` is the
    number of the array's first row in the file."""
    present = None if array.null_count == 0 else np.asarray(array.is_valid())
    if pa.types.is_map(array.type):
        entry = pa.struct([("key", array.type.key_type), ("value", array.type.item_type)])
        pairs = array.cast(pa.list_(entry))
        lengths = lengths_of(pairs)
        indices, values = pairs.flatten().flatten()
    else:
        first, second = (array.flatten()[array.type.get_field_index(name)] for name in (INDICES, VALUES))
        lengths, others = lengths_of(first), lengths_of(second)
        if (lengths != others).any():
            row = int(np.argmax(lengths != others))
            raise bad_row(path, start + row, f"{column!r} has {lengths[row]} indices and {others[row]} values")
        indices, values = first.flatten(), second.flatten()
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    for part in (indices, values):
        if part.null_count:
            entry = int(np.argmin(np.asarray(part.is_valid())))
            row = int(np.searchsorted(offsets, entry, side="right")) - 1
            raise bad_row(path, start + row, f"{column!r} has a null among its numbers")
    return SparseRows(offsets, indices.to_numpy(zero_copy_only=False), values.to_numpy(zero_copy_only=False)), present


def sparse_array(vectors: Sequence[SparseVector | None]) -> Any:
    """Vectors, some of them None, as a column of `COLUMN_TYPE`."""
    nothing = SparseVector(np.empty(0, np.uint32), np.empty(0, np.float32))
    rows = sparse_rows([nothing if one is None else one for one in vectors])
    offsets = pa.array(rows.offsets, type=pa.int32())
    parts = [pa.ListArray.from_arrays(offsets, pa.array(part)) for part in (rows.indices, rows.values)]
    absent = np.array([one is None for one in vectors])
    mask = pa.array(absent) if absent.any() else None
    return pa.StructArray.from_arrays(parts, fields=list(COLUMN_TYPE), mask=mask)
