"""Vectors in the forms that requests hold, whatever they arrived in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from vecstore.errors import invalid
from vecstore.rows import GivenRows, TextRows
from vecstore.schema import VectorField, VectorKind
from vecstore.sparse import SparseRows, SparseVector, sparse_rows
from vecstore.sparse_check import bad_vector
from vecstore.tokens import TokenRows

OneVector: TypeAlias = np.ndarray | SparseVector | str


def given_rows(vectors: Sequence[OneVector], path: str = "vectors") -> GivenRows:
    """Vectors as rows. Raises InvalidArgument (BAD_VECTOR, DIMENSION_MISMATCH) when they are not of one kind, or arrays
    of one length, or when a sparse one has more indices than values, or fewer."""
    texts = [one for one in vectors if isinstance(one, str)]
    sparse = [one for one in vectors if isinstance(one, SparseVector)]
    dense = [one for one in vectors if isinstance(one, np.ndarray)]
    if len(vectors) not in (len(texts), len(sparse), len(dense)):
        raise bad_vector(path, "mix vectors of several kinds")
    for place, one in enumerate(sparse):
        if len(one.indices) != len(one.values):
            problem = f"has {len(one.indices)} indices and {len(one.values)} values"
            raise bad_vector(f"{path}[{place}]", problem)
    if texts:
        return TextRows(texts)
    if sparse:
        return sparse_rows(sparse)
    if any(one.ndim == 2 for one in dense):
        return token_rows(dense, path)
    widths = {len(one) for one in dense}
    if len(widths) > 1:
        message = f"{path} have {sorted(widths)[:5]} dimensions, they must have one number of them"
        raise invalid("DIMENSION_MISMATCH", message, path)
    return np.stack([widen(one) for one in dense]) if dense else np.empty((0, 0), np.float32)


def token_rows(vectors: Sequence[np.ndarray], path: str) -> TokenRows:
    """Raises InvalidArgument (BAD_VECTOR, DIMENSION_MISMATCH) unless all are tokens of one dimension."""
    if any(one.ndim != 2 for one in vectors):
        raise bad_vector(path, "mix vectors of several kinds")
    dims = {one.shape[1] for one in vectors if len(one)}
    if len(dims) > 1:
        message = f"{path} have tokens of {sorted(dims)[:5]} dimensions, they must have one number of them"
        raise invalid("DIMENSION_MISMATCH", message, path)
    dtype = np.dtype(np.float16 if all(one.dtype == np.float16 for one in vectors) else np.float32)
    dim = dims.pop() if dims else vectors[0].shape[1]
    return TokenRows.of([one if len(one) else np.empty((0, dim), dtype) for one in vectors], dim, dtype)


def given_vectors(rows: GivenRows) -> list[OneVector]:
    """Rows one by one."""
    if isinstance(rows, TextRows):
        return list(rows.texts)
    if isinstance(rows, TokenRows):
        return [one.tokens for one in rows]
    if isinstance(rows, SparseRows):
        return [SparseVector(one.indices, one.values) for one in rows]
    return list(rows)


def only(given: GivenRows) -> OneVector:
    """The vector of a request with one query."""
    return given if isinstance(given, np.ndarray) else given_vectors(given)[0]


def check_kind(rows: np.ndarray, field: VectorField, path: str) -> None:
    """In numpy, packed bits are small whole numbers, which a dense field takes; on the wire they are of another kind.

    Raises InvalidArgument (BAD_VECTOR)."""
    if rows.dtype == np.uint8 and field.kind is VectorKind.DENSE:
        raise bad_vector(path, "is binary, but the field is dense")


def widen(vector: np.ndarray) -> np.ndarray:
    """float16 and bfloat16 as float32; float32 and packed bits as they are."""
    if vector.dtype == np.uint16:
        return (vector.astype(np.uint32) << 16).view(np.float32)
    if vector.dtype == np.float16:
        return vector.astype(np.float32)
    return vector


def tokens_of(data: bytes, dtype: np.dtype[Any], dim: int, path: str) -> np.ndarray:
    """Packed token vectors as rows of `dim` numbers; bfloat16 widened. Raises InvalidArgument (BAD_VECTOR)."""
    if dim <= 0 or dtype.itemsize == 1:
        raise bad_vector(path, f"has dim={dim} of {dtype}: token vectors are one or more numbers")
    if len(data) % (dim * dtype.itemsize):
        raise bad_vector(path, f"holds {len(data)} bytes, which are no whole vectors of dim={dim}")
    rows = np.frombuffer(data, dtype).reshape(-1, dim)
    return widen(rows) if dtype == np.uint16 else rows
