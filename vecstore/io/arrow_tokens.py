"""Arrow columns of multi-vectors to rows and back, whole columns at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from vecstore.io.arrow_lists import is_number, lengths_of
from vecstore.io.mapping import bad_row
from vecstore.offsets import offsets_of
from vecstore.tokens import TokenRows


def is_token_type(kind: Any) -> bool:
    """Whether a column of this type can be multi-vectors: lists of lists of numbers."""
    return _is_list(kind) and _is_list(kind.value_type) and is_number(kind.value_type.value_type)


def is_surely_tokens(kind: Any) -> bool:
    """Whether it can be nothing else: lists of lists of one length."""
    return is_token_type(kind) and bool(pa.types.is_fixed_size_list(kind.value_type))


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def column_type(dtype: np.dtype[np.generic], dim: int) -> Any:
    """Of what is written: any number of lists of one length."""
    return pa.list_(pa.list_(pa.from_numpy_dtype(dtype), dim))


def token_rows_of(array: Any, column: str, path: object, start: int) -> tuple[TokenRows, np.ndarray | None]:
    """Rows of a column, with tokens in its own dtype, and which are not null (None: all).

    Raises InvalidArgument naming the first row with a null among its tokens or numbers (BAD_ROW), or with a token of
    another width than those before it (DIMENSION_MISMATCH); `start` is the number of the array's first row in the file.
    """
    present = None if array.null_count == 0 else np.asarray(array.is_valid())
    offsets = offsets_of(lengths_of(array))
    inner = array.flatten()

    def row(token: int) -> int:
        return start + int(np.searchsorted(offsets, token, side="right")) - 1

    if inner.null_count:
        raise bad_row(
            path, row(int(np.argmin(np.asarray(inner.is_valid())))), f"{column!r} has a null among its tokens"
        )
    widths = lengths_of(inner)
    width = int(widths[0]) if len(widths) else 0
    if (widths != width).any():
        token = int(np.argmax(widths != width))
        what = f"{column!r} has a token of {int(widths[token])} values, those before it have {width}"
        raise bad_row(path, row(token), what, "DIMENSION_MISMATCH")
    values = inner.flatten()
    if values.null_count:
        token = int(np.argmin(np.asarray(values.is_valid()))) // width
        raise bad_row(path, row(token), f"{column!r} has a null among its numbers")
    tokens = values.to_numpy(zero_copy_only=False).reshape(len(inner), width)
    return TokenRows(offsets, tokens), present


def token_array(vectors: Sequence[np.ndarray | None], dtype: np.dtype[np.generic], dim: int) -> Any:
    """Multi-vectors (tokens, dim), some of them None, as a column of `column_type`."""
    rows = TokenRows.of([np.empty((0, dim), dtype) if one is None else one for one in vectors], dim, dtype)
    tokens = pa.FixedSizeListArray.from_arrays(pa.array(rows.tokens.reshape(-1)), dim)
    absent = np.array([one is None for one in vectors], np.bool_)
    mask = pa.array(absent) if absent.any() else None
    return pa.ListArray.from_arrays(pa.array(rows.offsets, type=pa.int32()), tokens, mask=mask)
