"""Arrow columns to numpy and back, whole columns at a time."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecstore.client.payloads import encode_payload
from vecstore.client.vectors import as_rows
from vecstore.errors import InvalidArgument
from vecstore.io.arrow_lists import is_number
from vecstore.io.arrow_sparse import is_sparse_type, sparse_rows_of
from vecstore.io.arrow_tokens import is_surely_tokens, is_token_type, token_rows_of
from vecstore.io.mapping import bad_row
from vecstore.io.token_columns import sendable_tokens
from vecstore.query.filter import PointId
from vecstore.rows import GivenRows, TextRows
from vecstore.schema import VectorField
from vecstore.tokens import TokenRows


def is_vector_type(kind: Any) -> bool:
    """Whether a column of this type can only be vectors: lists of one length of numbers, lists of such lists, or sparse
    vectors."""
    dense = bool(pa.types.is_fixed_size_list(kind) and _is_bit_or_number(kind.value_type))
    return dense or is_surely_tokens(kind) or is_sparse_type(kind)


def is_text_type(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def vector_type(kind: Any, column: str) -> tuple[np.dtype[np.generic], int | None]:
    """The numpy dtype of a vector column's values and its width, None when the lists may differ in length."""
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if (pa.types.is_fixed_size_list(kind) or lists) and _is_bit_or_number(kind.value_type):
        dtype = np.bool_ if pa.types.is_boolean(kind.value_type) else kind.value_type.to_pandas_dtype()
        return np.dtype(dtype), None if lists else kind.list_size
    message = f"column {column!r} holds {kind}, neither lists of numbers, or of such lists, nor sparse vectors nor text"
    raise InvalidArgument(message, reason="BAD_COLUMN")


def _is_bit_or_number(kind: Any) -> bool:
    return is_number(kind) or bool(pa.types.is_boolean(kind))


def vectors_of(array: Any, column: str, path: object, start: int) -> tuple[GivenRows, np.ndarray | None]:
    """Rows of a column of vectors of any kind or of text, and which are not null (None: all)."""
    if is_sparse_type(array.type):
        return sparse_rows_of(array, column, path, start)
    if is_token_type(array.type):
        return token_rows_of(array, column, path, start)
    if is_text_type(array.type):
        present = None if array.null_count == 0 else np.asarray(array.is_valid())
        return TextRows([text or "" for text in array.to_pylist()]), present
    return rows_of(array, column, path, start)


def carried(rows: GivenRows, field: VectorField | None, name: str) -> GivenRows:
    """The rows in a dtype that requests carry."""
    if isinstance(rows, TokenRows):
        return sendable_tokens(rows, field)
    if isinstance(rows, np.ndarray) and field is not None and not field.is_sparse:
        return as_rows(rows, field, name)
    return rows


def rows_of(array: Any, column: str, path: object, start: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows of a list column, shape (len(array), width), and which are not null (None: all).

    Fixed-size lists without nulls are not copied. Raises InvalidArgument (DIMENSION_MISMATCH) naming the first row of
    another length; `start` is the number of the array's first row in the file.
    """
    present = None if array.null_count == 0 else np.asarray(array.is_valid())
    if present is None and pa.types.is_fixed_size_list(array.type):
        width = array.type.list_size
        values = array.values.slice(array.offset * width, len(array) * width)
        return values.to_numpy(zero_copy_only=False).reshape(len(array), width), None
    lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False)
    known = lengths if present is None else lengths[present]
    width = int(known[0]) if len(known) else 0
    if (known != width).any():
        row = int(np.flatnonzero((lengths != width) & (True if present is None else present))[0])
        what = f"{column!r} has {int(lengths[row])} values, the rows before it {width}"
        raise bad_row(path, start + row, what, "DIMENSION_MISMATCH")
    flat = array.flatten().to_numpy(zero_copy_only=False).reshape(len(known), width)
    if present is None:
        return flat, None
    rows = np.zeros((len(array), width), dtype=flat.dtype)
    rows[present] = flat
    return rows, present


def ids_of(array: Any, kinds: Any | None, path: object, start: int) -> list[PointId]:
    """Ids of a column of integers, strings or UUIDs; with `kinds`, text whose kind stands in the column beside it."""
    ids = array.to_pylist()
    if None in ids:
        raise bad_row(path, start + ids.index(None), "has no id", "BAD_ID")
    if kinds is None:
        return list(ids)
    readers = {"num": int, "uuid": UUID, "str": str}
    try:
        return [readers[kind](one) for one, kind in zip(ids, kinds.to_pylist(), strict=True)]
    except (KeyError, ValueError) as error:
        raise InvalidArgument(f"{path} has a damaged id: {error}", reason="BAD_ID") from None


def payloads_of(batch: Any, columns: list[str], path: object, start: int) -> list[bytes | None] | None:
    """Payloads from plain columns; a null is a missing key. Raises InvalidArgument (BAD_PAYLOAD) naming the row."""
    if not columns:
        return None
    payloads: list[bytes | None] = []
    for row, values in enumerate(batch.select(columns).to_pylist()):
        payload = {key: value for key, value in values.items() if value is not None}
        try:
            payloads.append(encode_payload(payload) if payload else None)
        except InvalidArgument as error:
            raise bad_row(path, start + row, error.message, error.reason) from None
    return payloads


def vector_array(rows: list[np.ndarray | None], dtype: np.dtype[np.generic], width: int) -> Any:
    """Rows, some of them None, as a fixed-size list array."""
    block = np.zeros((len(rows), width), dtype=dtype)
    for place, row in enumerate(rows):
        if row is not None:
            block[place] = row
    absent = np.array([row is None for row in rows])
    mask = pa.array(absent) if absent.any() else None
    return pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), width, mask=mask)
