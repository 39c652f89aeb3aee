"""What users pass as sparse vectors, multi-vectors and texts to the rows that requests carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vecstore.errors import invalid
from vecstore.rows import RaggedRows, TextRows
from vecstore.schema import DataType, VectorField, VectorKind
from vecstore.sparse import SparseRows, SparseVector, sparse_rows
from vecstore.sparse_check import INDEX_MAX, bad_vector, sendable
from vecstore.tokens import TokenRows


def as_ragged(values: Any, field: VectorField, path: str) -> RaggedRows | TextRows:
    """Rows from SparseRows, a scipy sparse matrix or a list: of texts for a text field; of {index: value}, (indices,
    values) or SparseVector for a sparse field, or a text field's terms; of (tokens, dim) arrays for a multi-vector
    field. None is no vector.

    Raises InvalidArgument (BAD_VECTOR); the engine checks values, and that no index comes twice."""
    if hasattr(values, "tocsr"):
        values = _from_scipy(values)
    if isinstance(values, SparseRows):
        return sendable(values, np.size(values.offsets) - 1, path)
    if isinstance(values, TextRows | TokenRows):
        return values
    if field.kind is VectorKind.MULTI:
        return as_multi(values, field, path)
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
        raise bad_vector(path, f"must be a list of vectors, not {type(values).__name__}")
    listed = list(values)
    if field.kind is VectorKind.TEXT and all(one is None or isinstance(one, str) for one in listed):
        return TextRows([one or "" for one in listed])
    vectors = [NOTHING if one is None else as_sparse(one, f"{path}[{place}]") for place, one in enumerate(listed)]
    return sparse_rows(vectors)


def as_multi(values: Any, field: VectorField, path: str) -> TokenRows:
    """Rows from arrays of tokens, (m, dim) each, or one array (n, m, dim). Raises InvalidArgument (BAD_VECTOR)."""
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
        raise bad_vector(path, f"must be a list of multi-vectors, not {type(values).__name__}")
    tokens = [_tokens(one, field.dim, f"{path}[{place}]") for place, one in enumerate(values)]
    half = field.datatype is DataType.FLOAT16 and all(one.dtype == np.float16 for one in tokens)
    return TokenRows.of(tokens, field.dim, np.float16 if half else np.float32)


def _tokens(value: Any, dim: int, path: str) -> np.ndarray:
    """Token vectors of one point, which `None` has none of."""
    if value is None:
        return np.empty((0, dim), np.float16)
    try:
        tokens = np.asarray(value)
    except (ValueError, TypeError):
        raise bad_vector(path, "must be rows of numbers, all of one length") from None
    if not tokens.size:
        return np.empty((0, dim), np.float16)
    if tokens.ndim != 2 or tokens.dtype.kind not in "iuf":
        raise bad_vector(path, f"must be numbers of shape (tokens, {dim}), not {tokens.dtype} of shape {tokens.shape}")
    if tokens.shape[1] != dim:
        message = f"{path} has dim={tokens.shape[1]}, the field has dim={dim}"
        raise invalid("DIMENSION_MISMATCH", message, path)
    with np.errstate(over="ignore"):
        return tokens if tokens.dtype == np.float16 else tokens.astype(np.float32)


def as_ragged_query(value: Any, field: VectorField) -> RaggedRows | TextRows:
    """One query as one row. Raises InvalidArgument (BAD_VECTOR)."""
    if type(value) in _PAIRS and field.is_sparse and _is_pair(value):  # the usual case, without copies
        return SparseRows(np.array((0, len(value[0]))), *value)
    if type(value) is SparseRows and len(value) == 1:
        return sendable(value, 1, "vector", single=True)
    if hasattr(value, "tocsr"):
        value = _from_scipy(value)
    if isinstance(value, SparseRows | TextRows | TokenRows):
        count = len(value.texts) if isinstance(value, TextRows) else np.size(value.offsets) - 1
        if count != 1:
            raise bad_vector("vector", f"must be one vector, not {count}")
        return sendable(value, 1, "vector", single=True) if isinstance(value, SparseRows) else value
    if field.kind is VectorKind.MULTI:
        tokens = _tokens(value, field.dim, "vector")
        return TokenRows.of([tokens], field.dim, np.float32)
    if isinstance(value, str):
        if field.kind is not VectorKind.TEXT:
            raise bad_vector("vector", "is a text, but the field is sparse")
        return TextRows([value])
    return sparse_rows([as_sparse(value, "vector")])


def _is_pair(value: Sequence[Any]) -> bool:
    """Whether these are indices and values in the dtypes that requests carry."""
    if len(value) != 2 or type(value[0]) is not np.ndarray or type(value[1]) is not np.ndarray:
        return False
    indices, values = value
    fit = indices.dtype == _INDICES and values.dtype == _VALUES
    return fit and indices.ndim == 1 and bool(indices.shape == values.shape)


def as_sparse(value: Any, path: str) -> SparseVector:
    """One vector from {index: value}, (indices, values) or a SparseVector. Raises InvalidArgument (BAD_VECTOR)."""
    if isinstance(value, Mapping):
        indices, numbers = np.array(list(value.keys())), np.array(list(value.values()))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value) == 2:
        try:
            indices, numbers = np.asarray(value[0]), np.asarray(value[1])
        except ValueError:
            raise bad_vector(path, "must be one run of indices and one of values") from None
    else:
        wanted = "{index: value}, (indices, values) or a SparseVector"
        raise bad_vector(path, f"must be {wanted}, not {type(value).__name__}")
    if indices.ndim != 1 or numbers.ndim != 1:
        raise bad_vector(path, "must be one run of indices and one of values")
    if indices.shape != numbers.shape:
        raise bad_vector(path, f"has {indices.size} indices and {numbers.size} values")
    if not len(indices):
        return NOTHING
    if indices.dtype.kind not in "iu" or numbers.dtype.kind not in "iuf":
        raise bad_vector(path, f"needs integer indices and numbers as values, not {indices.dtype} and {numbers.dtype}")
    if int(indices.min()) < 0 or int(indices.max()) > INDEX_MAX:
        bad = indices[(indices < 0) | (indices > INDEX_MAX)][0]
        raise bad_vector(path, f"has index {bad}, which is outside 0..2^32-1")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which the engine refuses by name
        return SparseVector(indices.astype(np.uint32), numbers.astype(np.float32))


def _from_scipy(matrix: Any) -> SparseRows:
    rows = matrix.tocsr()
    return SparseRows(rows.indptr, rows.indices, rows.data)


_PAIRS = (tuple, SparseVector)
_INDICES, _VALUES = np.dtype(np.uint32), np.dtype(np.float32)
NOTHING = SparseVector(np.empty(0, np.uint32), np.empty(0, np.float32))
