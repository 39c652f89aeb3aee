"""Vectors: one by one, and by column. Numbers travel little-endian; bfloat16 is uint16 in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecstore.errors import InvalidArgument
from vecstore.pb.v1 import common_pb2 as pb
from vecstore.schema import VectorField, VectorKind
from vecstore.types import VectorBatch

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


def set_vector(message: pb.Vector, vector: np.ndarray) -> None:
    """Write a vector into a message that exists: uint8 as binary, the rest as packed dense numbers."""
    if vector.dtype == np.uint8:
        message.binary.data = vector.tobytes()
        return
    dtype = _DATA_TYPES.get(vector.dtype)
    if dtype is None:
        vector, dtype = vector.astype(np.float32), pb.DATA_TYPE_FLOAT32
    message.dense.data = vector.tobytes()
    if dtype != pb.DATA_TYPE_FLOAT32:
        message.dense.dtype = dtype


def vector_to_pb(vector: np.ndarray) -> pb.Vector:
    message = pb.Vector()
    set_vector(message, vector)
    return message


def vector_from_pb(message: pb.Vector, path: str) -> np.ndarray:
    """A one-dimensional float32, float16, uint16 (bfloat16) or uint8 (packed bits) array; read-only, over the message's
    bytes. Raises InvalidArgument (BAD_VECTOR) when it is empty or its bytes are no whole numbers."""
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
    raise bad_vector(path, "is empty: give dense or binary")


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
    rows = np.asarray(batch.rows)
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


def column_from_pb(column: pb.VectorColumn, count: int, path: str) -> VectorBatch:
    """The vectors of `count` points; read-only, over the message's bytes, when every point has one.

    Raises InvalidArgument: BAD_VECTOR when `data`, `dim`, `dtype` and `present` do not fit together.
    """
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
