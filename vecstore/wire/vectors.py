"""Vectors: one by one, and by column. Numbers travel little-endian; bfloat16 is uint16 in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from vecstore.errors import InvalidArgument
from vecstore.pb.v1 import common_pb2 as pb
from vecstore.rows import GivenRows, RaggedRows, TextRows, taken
from vecstore.schema import VectorField, VectorKind
from vecstore.sparse import SparseRows, SparseVector, sparse_rows
from vecstore.tokens import TokenRows
from vecstore.types import VectorBatch

OneVector: TypeAlias = np.ndarray | SparseVector | str

_DTYPES: dict[int, np.dtype[Any]] = {
    pb.DATA_TYPE_UNSPECIFIED: np.dtype("<f4"),
    pb.DATA_TYPE_FLOAT32: np.dtype("<f4"),
    pb.DATA_TYPE_FLOAT16: np.dtype("<f2"),
    pb.DATA_TYPE_BFLOAT16: np.dtype("<u2"),
    pb.DATA_TYPE_BIT: np.dtype("u1"),
}
_DATA_TYPES = {
    np.dtype(np.float32): pb.DATA_TYPE_FLOAT32,
    np.dtype(np.float16): pb.DATA_TYPE_FLOAT16,
    np.dtype(np.uint16): pb.DATA_TYPE_BFLOAT16,
    np.dtype(np.uint8): pb.DATA_TYPE_BIT,
}


def bad_vector(path: str, problem: str) -> InvalidArgument:
    message = f"{path} {problem}"
    return InvalidArgument(message, reason="BAD_VECTOR", field_violations=[(path, message)])


def set_vector(message: pb.Vector, vector: OneVector) -> None:
    """Write a vector into a message that exists: uint8 as binary, other arrays as packed dense numbers."""
    if isinstance(vector, str):
        message.text = vector
        return
    if isinstance(vector, np.ndarray) and vector.ndim == 2:
        _set_multi(message.multi, vector)
        return
    if isinstance(vector, SparseVector):
        message.sparse.SetInParent()
        message.sparse.indices.extend(vector.indices.tolist())
        message.sparse.values.extend(vector.values.tolist())
        return
    if vector.dtype == np.uint8:
        message.binary.data = vector.tobytes()
        return
    dtype = _DATA_TYPES.get(vector.dtype)
    if dtype is None:
        vector, dtype = vector.astype(np.float32), pb.DATA_TYPE_FLOAT32
    message.dense.data = vector.tobytes()
    if dtype != pb.DATA_TYPE_FLOAT32:
        message.dense.dtype = dtype


def _set_multi(message: pb.MultiVector, tokens: np.ndarray) -> None:
    dtype = _DATA_TYPES.get(tokens.dtype, pb.DATA_TYPE_BIT)
    if dtype not in (pb.DATA_TYPE_FLOAT32, pb.DATA_TYPE_FLOAT16):
        tokens, dtype = tokens.astype(np.float32), pb.DATA_TYPE_FLOAT32
    message.data, message.dtype, message.dim = tokens.tobytes(), dtype, tokens.shape[1]


def vector_to_pb(vector: OneVector) -> pb.Vector:
    message = pb.Vector()
    set_vector(message, vector)
    return message


def vector_from_pb(message: pb.Vector, path: str) -> OneVector:
    """A one-dimensional float32, float16, uint16 (bfloat16) or uint8 (packed bits) array, or a two-dimensional one of a
    multi-vector's tokens, read-only, over the message's bytes; or a sparse vector or a text. Raises InvalidArgument
    (BAD_VECTOR) when it is empty or its bytes are no whole numbers."""
    kind = message.WhichOneof("vector")
    if kind == "dense":
        dense = message.dense
        data = dense.data
        if data:
            if dense.values:
                raise bad_vector(path, "has both data and values")
            dtype = _dtype(dense.dtype, path)
            if dtype.itemsize == 1:
                raise bad_vector(path, "is dense, but its dtype is DATA_TYPE_BIT: use binary")
            return _whole(data, dtype, path)
        return np.array(dense.values, dtype=np.float32)
    if kind == "binary":
        return np.frombuffer(message.binary.data, np.uint8)
    if kind == "sparse":
        sparse = message.sparse
        return SparseVector(np.array(sparse.indices, np.uint32), np.array(sparse.values, np.float32))
    if kind == "text":
        return message.text
    if kind == "multi":
        return _tokens(message.multi.data, message.multi.dtype, message.multi.dim, path)
    raise bad_vector(path, "is empty: give dense, binary, sparse, multi or text")


def _tokens(data: bytes, number: int, dim: int, path: str) -> np.ndarray:
    """Rows of `dim` numbers; bfloat16 widened."""
    dtype = _dtype(number, path)
    if dim <= 0 or dtype.itemsize == 1:
        raise bad_vector(path, f"has dim={dim} of {dtype}: token vectors are one or more numbers")
    if len(data) % (dim * dtype.itemsize):
        raise bad_vector(path, f"holds {len(data)} bytes, which are no whole vectors of dim={dim}")
    rows = np.frombuffer(data, dtype).reshape(-1, dim)
    return widen(rows) if dtype == np.uint16 else rows


def given_rows(vectors: Sequence[OneVector], path: str = "vectors") -> GivenRows:
    """Vectors as rows. Raises InvalidArgument (BAD_VECTOR, DIMENSION_MISMATCH) when they are not of one kind, or arrays
    of one length, or when a sparse one has as many indices as values."""
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
        raise InvalidArgument(message, reason="DIMENSION_MISMATCH", field_violations=[(path, message)])
    return np.stack([widen(one) for one in dense]) if dense else np.empty((0, 0), np.float32)


def token_rows(vectors: Sequence[np.ndarray], path: str) -> TokenRows:
    """Raises InvalidArgument (BAD_VECTOR, DIMENSION_MISMATCH) unless all are tokens of one dimension."""
    if any(one.ndim != 2 for one in vectors):
        raise bad_vector(path, "mix vectors of several kinds")
    dims = {one.shape[1] for one in vectors if len(one)}
    if len(dims) > 1:
        message = f"{path} have tokens of {sorted(dims)[:5]} dimensions, they must have one number of them"
        raise InvalidArgument(message, reason="DIMENSION_MISMATCH", field_violations=[(path, message)])
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


def column_to_pb(batch: VectorBatch) -> pb.VectorColumn:
    if not isinstance(batch.rows, np.ndarray):
        return _ragged_to_pb(batch.rows, batch.present)
    rows = batch.rows
    dtype = _DATA_TYPES.get(rows.dtype)
    if dtype is None:
        rows, dtype = rows.astype(np.float32), pb.DATA_TYPE_FLOAT32
    width = rows.shape[1] if rows.ndim == 2 else 0
    column = pb.VectorColumn(dtype=dtype, dim=width * 8 if dtype == pb.DATA_TYPE_BIT else width)
    if batch.present is None or bool(batch.present.all()):
        column.data = rows.tobytes()
    else:
        column.data = rows[batch.present].tobytes()
        column.present = np.packbits(batch.present, bitorder="little").tobytes()
    return column


def is_ragged(column: pb.VectorColumn) -> bool:
    return column.HasField("sparse") or column.HasField("texts") or column.HasField("tokens")


def _ragged_to_pb(rows: RaggedRows | TextRows, present: np.ndarray | None) -> pb.VectorColumn:
    column = pb.VectorColumn()
    given: GivenRows = rows
    if present is not None and not present.all():
        column.present = np.packbits(present, bitorder="little").tobytes()
        given = taken(rows, np.flatnonzero(present))
    if isinstance(given, TextRows):
        column.texts.texts.extend(given.texts)
    elif isinstance(given, TokenRows):
        multi = pb.MultiVector()
        _set_multi(multi, given.tokens)
        column.data, column.dtype, column.dim = multi.data, multi.dtype, multi.dim
        column.tokens.counts.extend(np.diff(given.offsets).tolist())
    elif isinstance(given, SparseRows):
        column.sparse.lengths.extend(np.diff(given.offsets).tolist())
        column.sparse.indices = given.indices.astype("<u4", copy=False).tobytes()
        column.sparse.values = given.values.astype("<f4", copy=False).tobytes()
    return column


def _ragged_from_pb(column: pb.VectorColumn, count: int, path: str) -> VectorBatch:
    kinds = [kind for kind in ("sparse", "texts", "tokens") if column.HasField(kind)]
    if len(kinds) > 1 or (column.data and kinds != ["tokens"]):
        raise bad_vector(path, "has more than one of data, sparse, texts and tokens")
    present = _present(column.present, count, path)
    wanted = count if present is None else int(present.sum())
    if kinds == ["texts"]:
        texts = list(column.texts.texts)
        _check_count(len(texts), wanted, path)
        if present is not None:
            found = iter(texts)
            texts = [next(found) if there else "" for there in present.tolist()]
        return VectorBatch(TextRows(texts), present)
    sizes = column.sparse.lengths if kinds == ["sparse"] else column.tokens.counts
    _check_count(len(sizes), wanted, path)
    lengths = np.zeros(count, np.int64)
    lengths[slice(None) if present is None else present] = np.array(sizes, np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = _sparse_from_pb(column, offsets, path) if kinds == ["sparse"] else _tokens_from_pb(column, offsets, path)
    return VectorBatch(rows, present)


def _check_count(given: int, wanted: int, path: str) -> None:
    if given != wanted:
        raise bad_vector(path, f"holds {given} vectors for {wanted} points")


def _tokens_from_pb(column: pb.VectorColumn, offsets: np.ndarray, path: str) -> TokenRows:
    tokens = _tokens(column.data, column.dtype, column.dim, path)
    if offsets[-1] != len(tokens):
        raise bad_vector(path, f"has counts that sum to {offsets[-1]}, and {len(tokens)} token vectors")
    return TokenRows(offsets, tokens)


def _sparse_from_pb(column: pb.VectorColumn, offsets: np.ndarray, path: str) -> SparseRows:
    sparse = column.sparse
    if len(sparse.indices) % 4 or len(sparse.values) % 4:
        raise bad_vector(path, f"holds {len(sparse.indices)} and {len(sparse.values)} bytes, not numbers of 4 bytes")
    indices, values = np.frombuffer(sparse.indices, "<u4"), np.frombuffer(sparse.values, "<f4")
    if offsets[-1] != len(indices) or len(indices) != len(values):
        problem = f"has lengths that sum to {offsets[-1]}, {len(indices)} indices and {len(values)} values"
        raise bad_vector(path, problem)
    return SparseRows(offsets, indices, values)


def column_from_pb(column: pb.VectorColumn, count: int, path: str) -> VectorBatch:
    """The vectors of `count` points; read-only, over the message's bytes, when every point has one.

    Raises InvalidArgument: BAD_VECTOR when `data`, `dim`, `dtype` and `present` do not fit together.
    """
    if is_ragged(column):
        return _ragged_from_pb(column, count, path)
    dtype = _dtype(column.dtype, path)
    dim = column.dim
    bits = column.dtype == pb.DATA_TYPE_BIT
    if dim <= 0 or (bits and dim % 8):
        raise bad_vector(f"{path}.dim", f"is {dim}, not a positive number{' and multiple of 8' if bits else ''}")
    width = dim // 8 if bits else dim
    present = _present(column.present, count, path)
    rows = count if present is None else int(present.sum())
    data = column.data
    if len(data) != rows * width * dtype.itemsize:
        expected = f"{rows} rows of {width * dtype.itemsize} bytes"
        raise bad_vector(f"{path}.data", f"holds {len(data)} bytes, but dim={dim} needs {expected}")
    values = np.frombuffer(data, dtype).reshape(rows, width)
    if present is None:
        return VectorBatch(values)
    # `count` is bounded by the ids received, `width` is not when no point has the vector.
    spread = np.zeros((count, width if rows else 0), dtype)
    if rows:
        spread[present] = values
    return VectorBatch(spread, present)


def _present(bitmap: bytes, count: int, path: str) -> np.ndarray | None:
    if not bitmap:
        return None
    if len(bitmap) != (count + 7) // 8:
        raise bad_vector(f"{path}.present", f"holds {len(bitmap)} bytes, but {count} points need {(count + 7) // 8}")
    present = np.unpackbits(np.frombuffer(bitmap, np.uint8), count=count, bitorder="little").astype(bool)
    return None if present.all() else present


def _dtype(value: int, path: str) -> np.dtype[Any]:
    try:
        return _DTYPES[value]
    except KeyError:
        raise bad_vector(f"{path}.dtype", f"is {value}, which is unknown") from None


def _whole(data: bytes, dtype: np.dtype[Any], path: str) -> np.ndarray:
    if len(data) % dtype.itemsize:
        raise bad_vector(path, f"holds {len(data)} bytes, no multiple of the {dtype.itemsize} bytes of a number")
    return np.frombuffer(data, dtype)
