"""What users pass as vectors (arrays, lists, bits) to the arrays that requests carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np

from vecstore.client.payloads import Payload, encode_payloads
from vecstore.client.ragged import as_ragged, as_ragged_query
from vecstore.errors import InvalidArgument, invalid
from vecstore.query.filter import PointId
from vecstore.rows import GivenRows, TextRows
from vecstore.schema import DataType, Schema, VectorField, VectorKind
from vecstore.sparse import SparseRows, SparseVector
from vecstore.types import PointBatch, VectorBatch

Ids: TypeAlias = Sequence[PointId] | np.ndarray
# Array-like of shape (n, dim), a scipy matrix, a list of sparse vectors, of token arrays or of texts, or a mapping from
# field name to one of these.
Vectors: TypeAlias = Any
_FLOAT32 = np.dtype(np.float32)


def as_ids(ids: Ids | PointId) -> list[PointId]:
    """A list of ids from a list, an integer array or one id. What an id may be is checked by the engine."""
    if isinstance(ids, np.ndarray):
        ids = ids.tolist()
    if isinstance(ids, str | bytes | int | UUID | np.generic):
        ids = [ids]  # type: ignore[list-item]
    elif not isinstance(ids, Iterable):
        raise InvalidArgument(f"ids must be a list of ids, not {type(ids).__name__}", reason="BAD_ID")
    return [one.item() if isinstance(one, np.generic) else one for one in ids]


def only_vector(schema: Schema, using: str | None) -> str:
    """`using`, or the collection's one vector field. Raises InvalidArgument (VECTOR_NAME_UNKNOWN)."""
    if using is None and len(schema.vectors) == 1:
        return next(iter(schema.vectors))
    if not isinstance(using, str) or using not in schema.vectors:
        what = "a vector field must be named" if using is None else f"vector field {using!r:.80} is unknown"
        names = ", ".join(sorted(schema.vectors))
        raise InvalidArgument(f"{what}; the collection has: {names}", reason="VECTOR_NAME_UNKNOWN")
    return using


def as_rows(values: Any, field: VectorField, path: str) -> np.ndarray:
    """Rows in a dtype that requests carry: float32 or float16 for dense fields, packed uint8 for binary ones.

    Binary fields take packed bytes, (n, dim / 8) uint8, or bits, (n, dim) bool, first dimension in the high bit of
    byte 0. Raises InvalidArgument (BAD_VECTOR) for what is not numbers; the engine checks dimensions and values.
    """
    if isinstance(values, SparseRows | SparseVector) or hasattr(values, "tocsr"):
        raise _bad(path, f"is sparse, but the field is {field.kind.value}")
    try:
        rows = np.asarray(values)
    except (ValueError, TypeError):
        raise _ragged(values, field, path) from None
    if field.kind is VectorKind.BINARY:
        if rows.dtype == np.bool_:
            rows = np.packbits(rows, axis=-1)
        elif rows.dtype != np.uint8:
            if rows.dtype.kind not in "iu" or (rows.size and (rows.min() < 0 or rows.max() > 255)):
                raise _bad(path, f"binary vectors must be packed uint8 or bool, not {rows.dtype}")
            rows = rows.astype(np.uint8)
        return np.ascontiguousarray(rows)
    if rows.dtype.kind not in "iuf":
        raise _bad(path, f"dense vectors must be numbers, not {rows.dtype}")
    dtype = np.float16 if rows.dtype == np.float16 and field.datatype is DataType.FLOAT16 else np.float32
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which the engine refuses by name
        return np.ascontiguousarray(rows, dtype=dtype)


def given_texts(values: Any) -> bool:
    """Whether these are texts, None among them for points without one."""
    if isinstance(values, np.ndarray):
        return bool(values.dtype.kind == "U")
    if isinstance(values, TextRows):
        return True
    listed = isinstance(values, list | tuple) and any(isinstance(one, str) for one in values)
    return listed and all(one is None or isinstance(one, str) for one in values)


def texts_for(values: Any, field: VectorField, path: str) -> TextRows:
    """Texts for a field that takes them. Raises InvalidArgument (BAD_VECTOR)."""
    if field.kind is not VectorKind.TEXT and field.embedder is None:
        raise _bad(path, f"is text, but the field is {field.kind.value} and has no embedder")
    return values if isinstance(values, TextRows) else TextRows([one or "" for one in values])


def as_query(vector: Any, field: VectorField) -> GivenRows:
    """One query vector: float32 of shape (dim,), packed uint8, or one ragged row or text."""
    if type(vector) is np.ndarray and vector.dtype is _FLOAT32 and vector.ndim == 1 and field.kind is VectorKind.DENSE:
        return vector  # as most are
    if isinstance(vector, str):
        return texts_for([vector], field, "vector")
    if isinstance(vector, TextRows) and field.kind is not VectorKind.TEXT:
        return texts_for(vector, field, "vector")
    if field.is_ragged:
        return as_ragged_query(vector, field)
    rows = as_rows(vector, field, "vector")
    if rows.ndim != 1:
        several = ": query_batch takes several" if rows.ndim == 2 else ""
        raise _bad("vector", f"must have one dimension, not shape {rows.shape}{several}")
    return rows if rows.dtype == np.uint8 else rows.astype(np.float32, copy=False)


def as_queries(matrix: Any, field: VectorField) -> GivenRows:
    """Query vectors: float32 of shape (n, dim), packed uint8, or ragged rows or texts."""
    if given_texts(matrix):
        return texts_for(matrix, field, "vectors")
    if field.is_ragged:
        return as_ragged(matrix, field, "vectors")
    rows = as_rows(matrix, field, "vectors")
    if rows.ndim != 2:
        raise _bad("vectors", f"must have two dimensions, one row for each query, not shape {rows.shape}")
    return rows if rows.dtype == np.uint8 else rows.astype(np.float32, copy=False)


def build_batch(
    schema: Schema, ids: Ids | PointId, vectors: Vectors, payloads: Sequence[Payload | bytes | None] | None
) -> PointBatch:
    """Build a batch of points by column.

    `vectors` is array-like of shape (n, dim) when the collection has one vector field, else a mapping from field name
    to such arrays; a list may hold None for points without that vector. Raises InvalidArgument naming the field.
    """
    batch = PointBatch(ids=as_ids(ids))
    if vectors is not None:
        named = vectors if isinstance(vectors, Mapping) else {only_vector(schema, None): vectors}
        for name, values in named.items():
            field = schema.vectors[only_vector(schema, str(name))]
            batch.vectors[str(name)] = _column(values, field, str(name), len(batch.ids))
    if payloads is not None:
        if isinstance(payloads, Mapping | bytes | str) or len(payloads) != len(batch.ids):
            given = f"{len(payloads)} for {len(batch.ids)} ids" if isinstance(payloads, Sequence) else "something else"
            given = f"a {type(payloads).__name__}" if isinstance(payloads, Mapping | bytes | str) else given
            message = f"payloads must be a list with one payload for each id, not {given}"
            raise invalid("BAD_PAYLOAD", message, "payloads")
        batch.payloads = encode_payloads(payloads)
    return batch


def _column(values: Any, field: VectorField, name: str, count: int) -> VectorBatch:
    present = None
    path = f"vectors.{name}"
    if field.kind is not VectorKind.TEXT and given_texts(values):
        if len(values) != count:
            raise _bad(path, f"has {len(values)} rows for {count} ids")
        if any(one is None for one in values):
            present = np.array([one is not None for one in values])
        return VectorBatch(texts_for(values, field, path), present)
    if field.is_ragged:
        return _ragged_column(values, field, path, count)
    if not isinstance(values, np.ndarray) and hasattr(values, "__len__") and any(one is None for one in values):
        present = np.array([one is not None for one in values])
        some = as_rows([one for one in values if one is not None], field, path)
        rows = np.zeros((len(values), *some.shape[1:]), dtype=some.dtype)
        if some.ndim == 2:
            rows[present] = some
    else:
        rows = as_rows(values, field, path)
    if rows.ndim != 2 and rows.size:
        raise _bad(path, f"must have shape ({count}, {field.dim}), not {rows.shape}")
    if len(rows) != count:
        raise _bad(path, f"has {len(rows)} rows for {count} ids")
    if rows.ndim != 2:
        rows = rows.reshape(count, field.storage_width if present is not None else 0)
    return VectorBatch(rows=rows, present=present)


def _ragged_column(values: Any, field: VectorField, path: str, count: int) -> VectorBatch:
    present = None
    if isinstance(values, list | tuple) and any(one is None for one in values):
        present = np.array([one is not None for one in values])
    given = as_ragged(values, field, path)
    if len(given) != count:
        raise _bad(path, f"has {len(given)} rows for {count} ids")
    return VectorBatch(given, present)


def _ragged(values: Any, field: VectorField, path: str) -> InvalidArgument:
    """Rows of different lengths: name the first one that does not fit the field."""
    for row, one in enumerate(values):
        size = len(one) if hasattr(one, "__len__") else 0
        if size not in (field.dim, field.storage_width):
            message = f"{path}[{row}] has dim={size}, the field has dim={field.dim}"
            violations = [(f"{path}[{row}]", message)]
            return InvalidArgument(message, reason="DIMENSION_MISMATCH", field_violations=violations)
    return _bad(path, "must be rows of numbers")


def _bad(path: str, what: str) -> InvalidArgument:
    return InvalidArgument(f"{path} {what}", reason="BAD_VECTOR", field_violations=[(path, what)])
