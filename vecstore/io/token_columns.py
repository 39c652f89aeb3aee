"""Columns of multi-vectors, whatever file they stand in: tokens of a dtype and width that requests carry."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecstore.schema import DataType, VectorField, VectorKind
from vecstore.tokens import TokenRows

OFFSETS, TOKENS = "offsets", "tokens"  # arrays of a file that holds token vectors, one row of points after the other


def is_tokens(array: Any) -> bool:
    """Whether it is (T, dim) of numbers."""
    return len(array.shape) == 2 and array.dtype.kind in "fiu"


def sendable_tokens(rows: TokenRows, field: VectorField | None) -> TokenRows:
    """float32, or float16 that the field stores as it is; rows without any token have the field's width."""
    if field is None or field.kind is not VectorKind.MULTI:
        return rows.astype(np.float32)
    if not len(rows.tokens):
        return TokenRows(rows.offsets, np.empty((0, field.dim), np.float32))
    half = rows.tokens.dtype == np.float16 and field.datatype is DataType.FLOAT16
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which the engine refuses by name
        return rows.astype(np.float16 if half else np.float32)
